# L3VPN ECMP: a network for each of three ports with one address; G4 and G5 in another network.
openstack network create --project Blue net1
openstack network create --project Blue net2
openstack network create --project Blue net3
openstack network create --project Blue net4

openstack subnet create --project Blue --network net1 --subnet-range 10.1.1.0/24 subnet1
openstack subnet create --project Blue --network net2 --subnet-range 10.1.1.0/24 subnet2
openstack subnet create --project Blue --network net3 --subnet-range 10.1.1.0/24 subnet3
openstack subnet create --project Blue --network net4 --subnet-range 10.2.2.0/24 subnet4

openstack port create --project Blue --network net1 --fixed-ip subnet=subnet1,ip-address=10.1.1.5 --host host1 --binding-profile namespace=VNF11 VNF1.1
openstack port create --project Blue --network net2 --fixed-ip subnet=subnet2,ip-address=10.1.1.5 --host host1 --binding-profile namespace=VNF12 VNF1.2
openstack port create --project Blue --network net3 --fixed-ip subnet=subnet3,ip-address=10.1.1.5 --host host2 --binding-profile namespace=VNF13 VNF1.3
openstack port create --project Blue --network net4 --fixed-ip subnet=subnet4,ip-address=10.2.2.4 --host host1 --binding-profile namespace=G4 G4
openstack port create --project Blue --network net4 --fixed-ip subnet=subnet4,ip-address=10.2.2.5 --host host2 --binding-profile namespace=G5 G5
openstack bgpvpn create --project Blue --route-target 64512:100 --name vpn1

openstack bgpvpn network association create --project Blue vpn1 net1
openstack bgpvpn network association create --project Blue vpn1 net2
openstack bgpvpn network association create --project Blue vpn1 net3
openstack bgpvpn network association create --project Blue vpn1 net4

weft set bgpvpn vpn1 --multipath ecmp
