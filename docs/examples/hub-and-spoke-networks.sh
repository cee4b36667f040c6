# L3VPN hub and spoke: a network and a VPN to each VRF, without port associations.
openstack network create --project Blue --extra-property type=bool,name=l2_adjacency,value=false hub
openstack network create --project Blue --extra-property type=bool,name=l2_adjacency,value=false spoke-1
openstack network create --project Blue --extra-property type=bool,name=l2_adjacency,value=false spoke-2
openstack network create --project Blue --extra-property type=bool,name=l2_adjacency,value=false spoke-3

openstack subnet create --project Blue --network hub --subnet-range 10.1.1.0/24 hub-subnet1
openstack subnet create --project Blue --network hub --subnet-range 10.3.7.0/24 hub-subnet2
openstack subnet create --project Blue --network spoke-1 --subnet-range 10.1.1.0/24 spoke-1-subnet1
openstack subnet create --project Blue --network spoke-1 --subnet-range 10.3.7.0/24 spoke-1-subnet2
openstack subnet create --project Blue --network spoke-2 --subnet-range 10.1.1.0/24 spoke-2-subnet1
openstack subnet create --project Blue --network spoke-2 --subnet-range 10.3.7.0/24 spoke-2-subnet2
openstack subnet create --project Blue --network spoke-3 --subnet-range 10.1.1.0/24 spoke-3-subnet1
openstack subnet create --project Blue --network spoke-3 --subnet-range 10.3.7.0/24 spoke-3-subnet2

openstack port create --project Blue --network hub --fixed-ip subnet=hub-subnet1,ip-address=10.1.1.5 --host host1 --binding-profile namespace=vFW 'vFW(H)'
openstack port create --project Blue --network spoke-1 --fixed-ip subnet=spoke-1-subnet2,ip-address=10.3.7.9 --host host1 --binding-profile namespace=VNF1 'VNF1(S)'
openstack port create --project Blue --network spoke-2 --fixed-ip subnet=spoke-2-subnet1,ip-address=10.1.1.6 --host host2 --binding-profile namespace=VNF2 'VNF2(S)'
openstack port create --project Blue --network spoke-3 --fixed-ip subnet=spoke-3-subnet2,ip-address=10.3.7.10 --host host2 --binding-profile namespace=VNF3 'VNF3(S)'
openstack bgpvpn create --project Blue --import-target 64512:1 --import-target 64512:2 --export-target 64512:1 --name hub-vrf
openstack bgpvpn create --project Blue --import-target 64512:1 --export-target 64512:2 --name spoke-1-vrf
openstack bgpvpn create --project Blue --import-target 64512:1 --export-target 64512:2 --name spoke-2-vrf
openstack bgpvpn create --project Blue --import-target 64512:1 --export-target 64512:2 --name spoke-3-vrf

openstack bgpvpn network association create --project Blue hub-vrf hub
openstack bgpvpn network association create --project Blue spoke-1-vrf spoke-1
openstack bgpvpn network association create --project Blue spoke-2-vrf spoke-2
openstack bgpvpn network association create --project Blue spoke-3-vrf spoke-3

weft do bgpvpn add-static-routes hub-vrf --static-routes destination=0.0.0.0/0,nexthop=10.1.1.5
