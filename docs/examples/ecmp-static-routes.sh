# L3VPN ECMP: three static routes of the VPN to 10.1.1.5, which G1, G2 and G3 have besides their own addresses.
openstack network create --project Blue net1

openstack subnet create --project Blue --network net1 --subnet-range 5.1.1.0/24 --gateway 5.1.1.254 subnet1

openstack port create --project Blue --network net1 --fixed-ip subnet=subnet1,ip-address=5.1.1.1 --host host1 --binding-profile namespace=G1 G1
openstack port create --project Blue --network net1 --fixed-ip subnet=subnet1,ip-address=5.1.1.2 --host host1 --binding-profile namespace=G2 G2
openstack port create --project Blue --network net1 --fixed-ip subnet=subnet1,ip-address=5.1.1.3 --host host2 --binding-profile namespace=G3 G3
openstack port create --project Blue --network net1 --fixed-ip subnet=subnet1,ip-address=5.1.1.4 --host host1 --binding-profile namespace=G4 G4
openstack port create --project Blue --network net1 --fixed-ip subnet=subnet1,ip-address=5.1.1.5 --host host2 --binding-profile namespace=G5 G5
openstack port create --project Blue --network net1 --fixed-ip subnet=subnet1,ip-address=5.1.1.6 --host host2 --binding-profile namespace=G6 G6
openstack bgpvpn create --project Blue --route-target 64512:100 --name vpn1

openstack bgpvpn network association create --project Blue vpn1 net1

weft do bgpvpn add-static-routes vpn1 --static-routes destination=10.1.1.5/32,nexthop=5.1.1.1
weft do bgpvpn add-static-routes vpn1 --static-routes destination=10.1.1.5/32,nexthop=5.1.1.2
weft do bgpvpn add-static-routes vpn1 --static-routes destination=10.1.1.5/32,nexthop=5.1.1.3
