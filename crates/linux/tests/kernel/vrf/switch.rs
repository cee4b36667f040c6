//! A host whose VRFs are to be of the other sort from now on.

mod as_devices {
    use weft_dataplane::State;
    use weft_dataplane::conformance::converge;
    use weft_linux::VrfMode;

    use crate::common::{Bench, await_rest, ours, run, state};
    use crate::vrf::{answers, hosts, site};

    #[test]
    #[ignore = "needs VRF devices; runs in a virtual machine"]
    fn vrfs_of_the_other_sort_give_way() {
        let bench = Bench::new();
        let wants = [1, 2].map(|host| state(site('a', host).objects()));
        drop(hosts(&bench, [&wants[0], &wants[1]]));
        let from = site('a', 1).workload(&bench);
        for mode in [VrfMode::Device, VrfMode::Namespace] {
            let mut host = bench.open_as("a", mode);
            await_rest(&mut host, &wants[0]);
            assert_eq!(converge(&mut bench.open_as("a", mode), &wants[0]), Ok(0), "a fresh look");
            assert!(answers(&from, "10.2.0.5") && answers(&from, "2001:db8:2::5"), "{mode:?}");
            let devices = run(&format!("ip -n {} -o link show type vrf", bench.host("a")));
            assert_eq!(devices.lines().count(), usize::from(mode == VrfMode::Device), "{devices}");
        }
        let mut host = bench.open("a");
        converge(&mut host, &State::default()).unwrap();
        assert_eq!(ours(&mut host), []);
    }
}
