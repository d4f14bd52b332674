//! Puts the built web client (`web/dist`) into the binary. Without it the server has a page that
//! says how to build it: nobody needs Node.js to work on the server.

use std::collections::hash_map::DefaultHasher;
use std::fmt::Write as _;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let dist = manifest.join("../../web/dist");
    // A folder that is not there would make cargo run this script, and compile, at each build.
    let _ = fs::create_dir_all(&dist);
    println!("cargo:rerun-if-changed={}", dist.display());
    println!("cargo:rerun-if-changed=build.rs");

    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    // Copies, so that the web client can be built again while this crate compiles.
    let copies = out.join("web");
    let _ = fs::remove_dir_all(&copies);
    let mut files = Vec::new();
    collect(&dist, &dist, &copies, &mut files);
    files.sort();
    let mut table = String::from("&[\n");
    for (name, path) in files.iter().filter(|(name, _)| !name.ends_with(".gz")) {
        let gzip = format!("{name}.gz");
        let gzip = files.iter().find(|(other, _)| *other == gzip);
        let gzip = gzip.map_or("None".to_owned(), |(_, path)| {
            format!("Some({})", include(path))
        });
        let _ = writeln!(
            table,
            "    File {{ name: {name:?}, tag: {:?}, bytes: {}, gzip: {gzip} }},",
            tag(path),
            include(path),
        );
    }
    table.push(']');
    fs::write(out.join("web_files.rs"), table).expect("OUT_DIR can be written to");
}

/// Copies all files below `folder`; each with its path from `root`, and its copy.
fn collect(root: &Path, folder: &Path, copies: &Path, files: &mut Vec<(String, PathBuf)>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(root, &path, copies, files);
        } else if let Ok(name) = path.strip_prefix(root) {
            let copy = copies.join(name);
            let parent = copy.parent().expect("a file is in a folder");
            fs::create_dir_all(parent).expect("OUT_DIR can be written to");
            // A file that has just gone belongs to a build that is under way.
            if fs::copy(&path, &copy).is_ok() {
                files.push((name.to_string_lossy().into_owned(), copy));
            }
        }
    }
}

fn include(path: &Path) -> String {
    format!("include_bytes!({:?})", path.display().to_string())
}

fn tag(path: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    fs::read(path)
        .expect("a listed file can be read")
        .hash(&mut hasher);
    format!("\"{:016x}\"", hasher.finish())
}
