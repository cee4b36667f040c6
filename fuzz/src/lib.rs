//! What must hold of any bytes: one function a target. It panics where it does not hold.
//!
//! `make test` holds each target to its corpus, `corpus/<target>/`, in which every file once led to code that no other file led to. `make soak`
//! looks for more: `libfuzzer/` changes the corpus at random, watches which code runs, and keeps what leads to new code. What breaks a target is left in
//! `artifacts/<target>/`: mend the code, then move the file into the corpus.
//!
//! A new target is a function here, a line in [`TARGETS`], and a file in `libfuzzer/src/`.

mod bgp_session;
mod bgp_wire;

pub use bgp_session::bgp_session;
pub use bgp_wire::bgp_wire;

/// A target's name, which is that of its corpus, and the target.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[("bgp_session", bgp_session), ("bgp_wire", bgp_wire)];

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::TARGETS;

    #[test]
    fn every_file_of_a_corpus_holds() {
        for (name, target) in TARGETS {
            let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
            let mut files = 0;
            for entry in fs::read_dir(&directory).unwrap() {
                let path = entry.unwrap().path();
                let bytes = fs::read(&path).unwrap();
                println!("{}", path.display());
                target(&bytes);
                files += 1;
            }
            assert!(files > 100, "{}: {files} files", directory.display());
        }
    }
}
