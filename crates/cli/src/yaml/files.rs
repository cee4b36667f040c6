//! Which files are meant, and what is in them.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::documents::{Input, Reader};
use super::problem::Source;

/// The largest file, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
const EXTENSIONS: &[&str] = &["yaml", "yml", "json"];

/// Reads files, the files of directories, and standard input for `-`.
pub(crate) fn read(paths: &[PathBuf]) -> Result<Input> {
    let mut reader = Reader::default();
    for path in paths {
        for file in expand(path)? {
            reader.read(source(&file)?);
        }
    }
    Ok(reader.finish()?)
}

/// The set of documents that name none: that of the only file's name, or `default`.
pub(crate) fn default_set(paths: &[PathBuf]) -> String {
    let stem = match paths {
        [only] if !is_standard_input(only) => only.file_stem().and_then(|stem| stem.to_str()),
        _ => None,
    };
    stem.unwrap_or("default").to_owned()
}

fn is_standard_input(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn expand(path: &Path) -> Result<Vec<PathBuf>> {
    if is_standard_input(path) || !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let what = || format!("{} cannot be read", path.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).with_context(what)? {
        let file = entry.with_context(what)?.path();
        let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        if EXTENSIONS.contains(&extension) && file.is_file() {
            files.push(file);
        }
    }
    if files.is_empty() {
        bail!("there is no file *.yaml, *.yml or *.json in {}", path.display());
    }
    files.sort();
    Ok(files)
}

fn source(path: &Path) -> Result<Source> {
    let name = if is_standard_input(path) { "standard input".to_owned() } else { path.display().to_string() };
    let what = || format!("{name} cannot be read");
    let mut text = String::new();
    let length = if is_standard_input(path) {
        std::io::stdin().lock().take(FILE_BYTES_MAX + 1).read_to_string(&mut text).with_context(what)?
    } else {
        let file = std::fs::File::open(path).with_context(what)?;
        file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).with_context(what)?
    };
    if length as u64 > FILE_BYTES_MAX {
        bail!("{name} is longer than {FILE_BYTES_MAX} bytes");
    }
    Ok(Source { name, text })
}
