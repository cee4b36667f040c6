# L3VPN any-to-any: Blue in two networks, Red with addresses that Blue has too.
openstack network create --project Blue net1
openstack network create --project Blue net2
openstack network create --project Red net3

openstack subnet create --project Blue --network net1 --subnet-range 10.1.1.0/24 subnet1
openstack subnet create --project Blue --network net2 --subnet-range 10.3.7.0/24 subnet2
openstack subnet create --project Red --network net3 --subnet-range 10.1.1.0/24 subnet3

openstack port create --project Blue --network net1 --fixed-ip subnet=subnet1,ip-address=10.1.1.5 --host host1 --binding-profile namespace=G1 G1
openstack port create --project Blue --network net2 --fixed-ip subnet=subnet2,ip-address=10.3.7.9 --host host1 --binding-profile namespace=G2 G2
openstack port create --project Blue --network net1 --fixed-ip subnet=subnet1,ip-address=10.1.1.6 --host host2 --binding-profile namespace=G3 G3
openstack port create --project Blue --network net2 --fixed-ip subnet=subnet2,ip-address=10.3.7.10 --host host2 --binding-profile namespace=G4 G4
openstack port create --project Red --network net3 --fixed-ip subnet=subnet3,ip-address=10.1.1.5 --host host1 --binding-profile namespace=G5 G5
openstack port create --project Red --network net3 --fixed-ip subnet=subnet3,ip-address=10.1.1.6 --host host2 --binding-profile namespace=G6 G6
openstack bgpvpn create --project Blue --route-target 64512:100 --name vpn1
openstack bgpvpn create --project Red --route-target 64512:200 --name vpn2

openstack bgpvpn network association create --project Blue vpn1 net1
openstack bgpvpn network association create --project Blue vpn1 net2
openstack bgpvpn network association create --project Red vpn2 net3
