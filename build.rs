//! Folds identical functions when the programs are linked: Burn's generics leave many, about a tenth of the binary.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    let target = is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ARCH", "x86_64") && is("CARGO_CFG_TARGET_ENV", "gnu");
    if target && has_lld() {
        println!("cargo:rustc-link-arg=-Wl,--icf=all");
    }
}

/// Whether this toolchain links with LLD of its own, which knows the flag; other linkers may not.
fn has_lld() -> bool {
    let Some(rustc) = std::env::var_os("RUSTC") else { return false };
    let Ok(output) = std::process::Command::new(rustc).args(["--print", "sysroot"]).output() else { return false };
    let sysroot = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    std::path::Path::new(&sysroot).join("lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld").is_file()
}
