# L3VPN hub and spoke: one network without layer 2, a VRF to each port.
openstack network create --project Blue --extra-property type=bool,name=l2_adjacency,value=false blue

openstack subnet create --project Blue --network blue --subnet-range 10.1.1.0/24 subnet1
openstack subnet create --project Blue --network blue --subnet-range 10.3.7.0/24 subnet2

openstack port create --project Blue --network blue --fixed-ip subnet=subnet1,ip-address=10.1.1.5 --host host1 --binding-profile namespace=vFW 'vFW(H)'
openstack port create --project Blue --network blue --fixed-ip subnet=subnet2,ip-address=10.3.7.9 --host host1 --binding-profile namespace=VNF1 'VNF1(S)'
openstack port create --project Blue --network blue --fixed-ip subnet=subnet1,ip-address=10.1.1.6 --host host2 --binding-profile namespace=VNF2 'VNF2(S)'
openstack port create --project Blue --network blue --fixed-ip subnet=subnet2,ip-address=10.3.7.10 --host host2 --binding-profile namespace=VNF3 'VNF3(S)'
openstack bgpvpn create --project Blue --import-target 64512:1 --import-target 64512:2 --export-target 64512:1 --name hub-vrf
openstack bgpvpn create --project Blue --import-target 64512:1 --export-target 64512:2 --name spoke-vrf

openstack bgpvpn port association create --project Blue hub-vrf 'vFW(H)' --prefix-route prefix=0.0.0.0/0 --no-advertise-fixed-ips
openstack bgpvpn port association create --project Blue spoke-vrf 'VNF1(S)'
openstack bgpvpn port association create --project Blue spoke-vrf 'VNF2(S)'
openstack bgpvpn port association create --project Blue spoke-vrf 'VNF3(S)'
