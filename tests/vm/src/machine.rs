//! What a machine has, and what runs in it.

use std::env;
use std::fs::File;
use std::io::{self, BufWriter, Seek};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Error;
use crate::archive::Archive;
use crate::kernel::Kernel;
use crate::qemu::{self, Hardware};

const INIT: &str = include_str!("init.sh");
/// What `init.sh` calls for everything: small, and linked statically.
const BUSYBOX: &str = "busybox";

/// The kernel modules that hold all that the driver and its tests make, in the order of the alphabet.
pub const DRIVER_MODULES: &[&str] = &[
    "8021q",
    "act_mirred",
    "act_police",
    "act_skbedit",
    "bridge",
    "cls_bpf",
    "cls_u32",
    "mpls_iptunnel",
    "mpls_router",
    "sch_ingress",
    "tun",
    "veth",
    "vrf",
    "vxlan",
];

/// A machine that runs one program. It has two processors and no network; nothing in it outlives it.
#[derive(Clone, Debug)]
pub struct Machine {
    modules: Vec<String>,
    programs: Vec<String>,
    programs_in_place: Vec<PathBuf>,
    files: Vec<(PathBuf, String)>,
    environment: Vec<(String, String)>,
    hardware: Hardware,
}

impl Default for Machine {
    fn default() -> Self {
        let hardware = Hardware { memory_mib: 1024, bound: Duration::from_secs(120) };
        Self {
            modules: Vec::new(),
            programs: Vec::new(),
            programs_in_place: Vec::new(),
            files: Vec::new(),
            environment: Vec::new(),
            hardware,
        }
    }
}

impl Machine {
    /// Loads these kernel modules, by name, with what they depend on, before the program starts. One that is built into the
    /// kernel is fine, one that the kernel has not is an error of [`run`](Self::run).
    #[must_use]
    pub fn modules(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.modules.extend(names.into_iter().map(Into::into));
        self
    }

    /// Puts these programs of the host's, by name or path, where the program finds them by name.
    #[must_use]
    pub fn programs(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.programs.extend(names.into_iter().map(Into::into));
        self
    }

    /// Puts these programs of the host's, by path, where they are on the host.
    #[must_use]
    pub fn programs_in_place(mut self, paths: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        self.programs_in_place.extend(paths.into_iter().map(Into::into));
        self
    }

    /// Puts a file with this content there.
    #[must_use]
    pub fn file(mut self, path: impl Into<PathBuf>, content: impl Into<String>) -> Self {
        self.files.push((path.into(), content.into()));
        self
    }

    /// Sets an environment variable of the program's. It has `HOME`, `PATH` and no other of the caller's.
    #[must_use]
    pub fn environment(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Sets the memory, in MiB; 1024 if it is not set. The program's file is in it, too.
    #[must_use]
    pub const fn memory_mib(mut self, memory_mib: u32) -> Self {
        self.hardware.memory_mib = memory_mib;
        self
    }

    /// Sets how long the machine may be there, boot included; two minutes if it is not set.
    #[must_use]
    pub const fn bound(mut self, bound: Duration) -> Self {
        self.hardware.bound = bound;
        self
    }

    /// Boots, runs a program of the host's (a path, or a name) as root, gives each line of its output and of its errors to `hear` when it comes, and answers its
    /// exit code: 128 and the signal's number for one that a signal ended.
    ///
    /// # Errors
    /// When there is no exit code: what a machine is made of is not there, the machine ended early, or its time was over.
    pub fn run(&self, program: &Path, arguments: &[String], hear: impl FnMut(&str)) -> Result<i32, Error> {
        let kernel = Kernel::find()?;
        let archive = self.archive(&kernel, program, arguments)?;
        qemu::run(&kernel.image, archive, self.hardware, hear)
    }

    /// Runs the calling executable's tests once more, with these arguments, shows what they say, and answers the lines of it.
    ///
    /// # Panics
    /// When one fails, or there is no machine.
    #[must_use]
    pub fn run_tests(&self, arguments: &[String]) -> Vec<String> {
        let own = std::env::current_exe().expect("a process knows its executable");
        let mut heard = Vec::new();
        let shown = self.run(&own, arguments, |line| {
            println!("machine: {line}");
            heard.push(line.to_owned());
        });
        let code = shown.unwrap_or_else(|error| panic!("{error}; {:?}", std::error::Error::source(&error)));
        assert_eq!(code, 0, "the tests in the machine");
        heard
    }

    /// The machine's file system, in a file without a name.
    fn archive(&self, kernel: &Kernel, program: &Path, arguments: &[String]) -> Result<File, Error> {
        let file = tempfile::tempfile().map_err(Error::Start)?;
        let mut archive = Archive::begin(BufWriter::new(file)).map_err(Error::Start)?;
        archive.copy(&find(BUSYBOX)?)?;
        let path = archive.program(&find(&program.to_string_lossy())?)?;
        for name in &self.programs {
            archive.program(&find(name)?)?;
        }
        self.programs_in_place.iter().try_for_each(|path| archive.program_in_place(path))?;
        for (path, content) in &self.files {
            archive.file(path, content.as_bytes()).map_err(Error::Start)?;
        }
        let mut modules = String::new();
        for (name, content) in kernel.modules(&self.modules)? {
            archive.file(Path::new(&format!("/modules/{name}.ko")), &content).map_err(Error::Start)?;
            modules.push_str(&format!("{name} "));
        }
        let script = self.script(&path, arguments);
        for (path, content) in [("/init", INIT), ("/modules/list", &modules), ("/program", &script)] {
            archive.file(Path::new(path), content.as_bytes()).map_err(Error::Start)?;
        }
        let finished =
            archive.finish().and_then(|out| out.into_inner().map_err(io::IntoInnerError::into_error));
        let mut file = finished.map_err(Error::Start)?;
        file.rewind().map_err(Error::Start)?;
        Ok(file)
    }

    /// The script that becomes the program.
    fn script(&self, program: &Path, arguments: &[String]) -> String {
        let mut script = String::from("#!/usr/bin/busybox sh\n");
        for (name, value) in &self.environment {
            script.push_str(&format!("export {name}={}\n", quoted(value)));
        }
        script.push_str(&format!("exec {}", quoted(&program.to_string_lossy())));
        arguments.iter().for_each(|argument| script.push_str(&format!(" {}", quoted(argument))));
        script.push('\n');
        script
    }
}

/// One word of a shell's, whatever is in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A program by its path, or by its name as the caller's `PATH` and the folders for root's programs have it.
pub(crate) fn find(name: &str) -> Result<PathBuf, Error> {
    if name.contains('/') {
        return Ok(name.into());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    let missing = || Error::Missing { what: format!("there is no program '{name}'") };
    folders.map(|folder| folder.join(name)).find(|path| path.is_file()).ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_words_whatever_is_in_them() {
        let arguments = ["a b".to_owned(), "it's".to_owned(), "$HOME".to_owned(), String::new()];
        let script = Machine::default().environment("A", "x y").script(Path::new("/bin/echo"), &arguments);
        assert_eq!(
            script,
            "#!/usr/bin/busybox sh\nexport A='x y'\nexec '/bin/echo' 'a b' 'it'\\''s' '$HOME' ''\n"
        );
    }

    #[test]
    fn a_program_is_found_by_its_name_or_its_path_or_is_said_to_be_missing() {
        assert!(find("sh").unwrap().is_file());
        assert_eq!(find("/bin/sh").unwrap(), Path::new("/bin/sh"));
        assert!(find("no-such-program").unwrap_err().to_string().contains("scripts/install vm"));
    }
}
