"""What a program asks through openstacksdk: bulk, pages, filters, conditions. Prints one line at the end."""

import openstack
from openstack import exceptions


def refused(kind, call, *words):
    try:
        call()
    except kind as error:
        text = str(error)
        for word in words:
            assert word in text, (word, text)
        return
    raise AssertionError(f"{kind.__name__} was expected")


cloud = openstack.connect(load_yaml_config=False)
network = cloud.network

blue = network.create_network(name="sdk-blue")
subnet = network.create_subnet(network_id=blue.id, cidr="10.60.0.0/24", ip_version=4, name="sdk-v4")
six = network.create_subnet(network_id=blue.id, cidr="2001:db8:60::/64", ip_version=6, name="sdk-v6")

# Bulk: all or nothing.
made = list(network.create_ports([{"network_id": blue.id, "name": f"p{n:02}"} for n in range(25)]))
assert len(made) == 25 and len({port.id for port in made}) == 25, made
count = len(list(network.ports()))
refused(
    exceptions.ConflictException,
    lambda: list(network.create_ports([{"network_id": blue.id}, {"network_id": blue.id, "mac_address": made[0].mac_address}])),
    made[0].mac_address,
)
assert len(list(network.ports())) == count, "a bulk of which one is refused makes none"

# Pages: the SDK follows the links.
paged = [port.id for port in network.ports(network_id=blue.id, limit=7)]
assert sorted(paged) == sorted(port.id for port in made), "pages of seven: none missing, none twice"
backwards = [port.name for port in network.ports(network_id=blue.id, sort_key="name", sort_dir="desc", limit=10)]
assert backwards == sorted(backwards, reverse=True) and len(backwards) == 25, backwards

# Filters.
address = made[3].fixed_ips[0]["ip_address"]
found = list(network.ports(fixed_ips=[f"ip_address={address}"]))
assert [port.id for port in found] == [made[3].id], found
assert len(list(network.ports(fixed_ips=[f"subnet_id={six.id}"]))) == 25
assert len(list(network.ports(fixed_ips=["ip_address_substr=2001:db8:60:"]))) == 25
assert [port.name for port in network.ports(name="p07")] == ["p07"]
assert list(network.ports(name="nobody")) == []
assert len(list(network.networks(is_admin_state_up=True))) >= 1
assert list(network.networks(is_admin_state_up=False)) == []
brief = list(network.ports(name="p07", fields=["id", "name"]))
assert brief[0].name == "p07"

# Names.
assert network.find_network("sdk-blue").id == blue.id
assert network.find_port(made[1].id).name == "p01"
assert network.find_port("nobody") is None
refused(exceptions.NotFoundException, lambda: network.find_port("nobody", ignore_missing=False), "nobody")
twin = network.create_network(name="sdk-blue")
refused(exceptions.DuplicateResource, lambda: network.find_network("sdk-blue"), "sdk-blue")
network.delete_network(twin)

# Conditions.
port = network.get_port(made[0].id)
network.update_port(port, description="first", if_revision=port.revision_number)
refused(
    exceptions.PreconditionFailedException,
    lambda: network.update_port(made[0].id, description="second", if_revision=port.revision_number - 1),
)
now = network.get_port(made[0].id)
assert now.description == "first" and now.revision_number > made[0].revision_number, now
network.update_port(now, fixed_ips=[{"ip_address": "10.60.0.200"}])
assert [one["ip_address"] for one in network.get_port(now.id).fixed_ips] == ["10.60.0.200"]

# Tags.
network.set_tags(now, ["one", "two"])
assert sorted(network.get_port(now.id).tags) == ["one", "two"]
assert [port.id for port in network.ports(tags="one,two")] == [now.id]
assert len(list(network.ports(network_id=blue.id, not_tags="one"))) == 24
network.set_tags(now, [])

# What is in use stays.
refused(exceptions.ConflictException, lambda: network.delete_network(blue), blue.id)
refused(exceptions.ConflictException, lambda: network.delete_subnet(subnet), subnet.id)
for port in network.ports(network_id=blue.id):
    network.delete_port(port)
network.delete_network(blue)
assert network.find_network("sdk-blue") is None and network.find_subnet("sdk-v4") is None
network.delete_network(blue.id, ignore_missing=True)
refused(exceptions.NotFoundException, lambda: network.delete_network(blue.id, ignore_missing=False))
print("25 ports in bulk, by pages, by filters, by tags, under conditions")
