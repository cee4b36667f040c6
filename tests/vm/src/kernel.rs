//! The machine's kernel: Debian's cloud image as its package has it, unpacked into a folder.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::Error;

/// Names a folder with another kernel: one with `boot/vmlinuz-*` and `lib/modules/*`.
const OVERRIDE: &str = "WEFT_VM_KERNEL";
/// Where `scripts/install vm` unpacks it, from this crate's folder.
const FOLDER: &str = "../../.vm/kernel";

/// A kernel and its modules.
pub(crate) struct Kernel {
    /// The image that is booted.
    pub(crate) image: PathBuf,
    /// The file of each module, by its name.
    modules: BTreeMap<String, PathBuf>,
    /// The names of those that are part of the image.
    built_in: Vec<String>,
}

impl Kernel {
    /// The one that was unpacked for this workspace.
    pub(crate) fn find() -> Result<Self, Error> {
        let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER);
        Self::in_folder(&env::var_os(OVERRIDE).map_or_else(default, PathBuf::from))
    }

    fn in_folder(folder: &Path) -> Result<Self, Error> {
        let missing = || Error::Missing { what: format!("there is no kernel in '{}'", folder.display()) };
        let boot =
            fs::read_dir(folder.join("boot")).map_err(|_| missing())?.flatten().map(|entry| entry.path());
        let image =
            boot.into_iter().find(|path| path.to_string_lossy().contains("/vmlinuz-")).ok_or_else(missing)?;
        let version = image.to_string_lossy().rsplit("/vmlinuz-").next().unwrap_or_default().to_owned();
        let library = folder.join("lib/modules").join(version);
        let list = library.join("modules.builtin");
        let built_in = fs::read_to_string(&list).map_err(Error::file(list))?;
        let mut modules = BTreeMap::new();
        collect(&library.join("kernel"), &mut modules)?;
        Ok(Self {
            image,
            modules,
            built_in: built_in.lines().filter_map(|line| name(Path::new(line))).collect(),
        })
    }

    /// The modules of these names with all that they depend on, each after what it needs: its name and its file's content.
    pub(crate) fn modules(&self, wanted: &[String]) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let mut found = Vec::new();
        wanted.iter().try_for_each(|name| self.add(&name.replace('-', "_"), &mut found))?;
        Ok(found)
    }

    fn add(&self, name: &str, found: &mut Vec<(String, Vec<u8>)>) -> Result<(), Error> {
        if self.built_in.iter().any(|other| other == name) || found.iter().any(|(other, _)| other == name) {
            return Ok(());
        }
        let path = self.modules.get(name).ok_or_else(|| Error::NoModule { name: name.to_owned() })?;
        let content = fs::read(path).map_err(Error::file(path))?;
        for needed in dependencies(&content) {
            self.add(&needed, found)?;
        }
        found.push((name.to_owned(), content));
        Ok(())
    }
}

/// The names of modules have `_` wherever their files have `-`.
fn name(path: &Path) -> Option<String> {
    let is_module = path.extension() == Some(OsStr::new("ko"));
    let stem = path.file_stem().filter(|_| is_module)?;
    Some(stem.to_string_lossy().replace('-', "_"))
}

fn collect(folder: &Path, modules: &mut BTreeMap<String, PathBuf>) -> Result<(), Error> {
    for entry in fs::read_dir(folder).map_err(Error::file(folder))? {
        let path = entry.map_err(Error::file(folder))?.path();
        if path.is_dir() {
            collect(&path, modules)?;
        } else if let Some(name) = name(&path) {
            modules.insert(name, path);
        }
    }
    Ok(())
}

/// What a module's file says it needs: `depends=a,b` among the null-terminated texts of its section `.modinfo`.
fn dependencies(module: &[u8]) -> Vec<String> {
    let list = module.split(|byte| *byte == 0).find_map(|text| text.strip_prefix(b"depends="));
    let list = String::from_utf8_lossy(list.unwrap_or_default());
    list.split(',').filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wanted: &[&str], expected: Result<&[&str], &str>) {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("lib/modules/6.1.0/kernel/net");
        fs::create_dir_all(&library).unwrap();
        fs::create_dir_all(folder.path().join("boot")).unwrap();
        fs::write(folder.path().join("boot/vmlinuz-6.1.0"), "").unwrap();
        fs::write(folder.path().join("lib/modules/6.1.0/modules.builtin"), "kernel/crypto/crc32c-x.ko\n")
            .unwrap();
        for (file, needs) in [
            ("top.ko", "left,right-side,crc32c_x"),
            ("left.ko", "base"),
            ("right-side.ko", "base"),
            ("base.ko", ""),
        ] {
            fs::write(library.join(file), format!("\u{7f}ELF\0license=GPL\0depends={needs}\0name=x\0"))
                .unwrap();
        }
        let kernel = Kernel::in_folder(folder.path()).unwrap();
        let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        let found =
            kernel.modules(&wanted).map(|found| found.into_iter().map(|(name, _)| name).collect::<Vec<_>>());
        let expected = expected.map(|names| names.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(found.map_err(|error| error.to_string()), expected.map_err(ToString::to_string));
    }

    #[test]
    fn a_module_comes_once_and_after_what_it_needs() {
        check(&["top", "right-side", "base"], Ok(&["base", "left", "right_side", "top"]));
    }

    #[test]
    fn what_is_built_in_needs_no_file_and_what_is_nowhere_is_an_error() {
        check(&["crc32c_x"], Ok(&[]));
        check(&["flying"], Err("the virtual machine's kernel has no module 'flying'"));
    }

    #[test]
    fn a_folder_without_a_kernel_says_how_to_get_one() {
        let folder = tempfile::tempdir().unwrap();
        let error = Kernel::in_folder(folder.path()).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("scripts/install vm"), "{error}");
    }
}
