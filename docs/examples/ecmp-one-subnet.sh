# L3VPN ECMP: three ports of one subnet with one address; G5 in another network.
openstack network create --project Blue net1
openstack network create --project Blue net2

openstack subnet create --project Blue --network net1 --subnet-range 10.1.1.0/24 subnet1
openstack subnet create --project Blue --network net2 --subnet-range 10.2.2.0/24 subnet2

openstack port create --project Blue --network net1 --fixed-ip subnet=subnet1,ip-address=10.1.1.5 --extra-property type=bool,name=anycast,value=true --host host1 --binding-profile namespace=VNF11 VNF1.1
openstack port create --project Blue --network net1 --fixed-ip subnet=subnet1,ip-address=10.1.1.5 --extra-property type=bool,name=anycast,value=true --host host1 --binding-profile namespace=VNF12 VNF1.2
openstack port create --project Blue --network net1 --fixed-ip subnet=subnet1,ip-address=10.1.1.5 --extra-property type=bool,name=anycast,value=true --host host2 --binding-profile namespace=VNF13 VNF1.3
openstack port create --project Blue --network net1 --fixed-ip subnet=subnet1,ip-address=10.1.1.6 --host host1 --binding-profile namespace=VNF2 VNF2
openstack port create --project Blue --network net1 --fixed-ip subnet=subnet1,ip-address=10.1.1.3 --host host2 --binding-profile namespace=VNF3 VNF3
openstack port create --project Blue --network net2 --fixed-ip subnet=subnet2,ip-address=10.2.2.5 --host host2 --binding-profile namespace=G5 G5
openstack bgpvpn create --project Blue --route-target 64512:100 --name vpn1

openstack bgpvpn network association create --project Blue vpn1 net1
openstack bgpvpn network association create --project Blue vpn1 net2
