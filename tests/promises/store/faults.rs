//! What happens to a store when the process is killed, or the disk does not play along.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use gauntlet::error::Kind;
use gauntlet::store::{Mode, Store, write_atomic};

use super::{CHUNK, chunk, cost, device, exact, expect_error, open, pgd, run_folder};

promises! {
    a_killed_process_leaves_whole_chunks_and_all_that_it_told_of,
    a_second_process_is_told_which_one_holds_the_folder_and_gets_it_when_that_one_is_killed,
    a_place_that_cannot_be_written_is_named,
    a_read_only_folder_is_named,
    a_commit_that_finds_no_space_is_refused_and_those_before_it_are_kept,
    a_full_disk_is_named_and_loses_nothing,
}

/// Set in a child process to the folder that it is to write to.
const CHILD: &str = "GAUNTLET_TEST_STORE";

/// Has a command that starts this binary run `test` of this module alone, with the folder to write to in its environment.
fn as_child<'a>(command: &'a mut Command, test: &str, folder: &Path) -> &'a mut Command {
    let module = module_path!().split_once("::").expect("a test lives in a module").1;
    command.args(["--exact", "--nocapture", &format!("{module}::{test}")]).env(CHILD, folder)
}

/// Runs `test` of this module in a process of its own, and gives the numbers of the chunks that it tells of.
fn child(test: &str, folder: &Path) -> (Child, impl Iterator<Item = u32>) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let mut child = as_child(&mut command, test, folder).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    (child, lines.filter_map(|line| line.rsplit("committed ").next()?.parse().ok()))
}

/// What the child does: chunks one after the other, without end, each told once it is committed.
fn commit_for_ever(folder: &Path) -> ! {
    let store = open(folder, Mode::Continue).unwrap();
    let mut next = store.outcomes(&pgd()).unwrap().len() as u32 / CHUNK;
    loop {
        store.commit_chunk(&pgd(), &device(64), &chunk(next), &cost(1.0)).unwrap();
        println!("committed {next}");
        next += 1;
    }
}

/// Says so past the harness, which keeps what a passing test prints.
#[cfg(unix)]
fn not_tested(reason: &str) {
    use std::io::Write;
    std::io::stderr().write_all(format!("NOT TESTED: {reason}\n").as_bytes()).unwrap();
}

fn a_killed_process_leaves_whole_chunks_and_all_that_it_told_of() {
    if let Some(folder) = std::env::var_os(CHILD) {
        commit_for_ever(Path::new(&folder));
    }
    let (_temporary, folder) = run_folder();
    for round in 0..6 {
        let (mut process, mut told) = child("a_killed_process_leaves_whole_chunks_and_all_that_it_told_of", &folder);
        let last = told.nth(3 * round).expect("the child commits");
        std::thread::sleep(std::time::Duration::from_micros(700 * round as u64));
        process.kill().unwrap();
        process.wait().unwrap();
        let last = told.last().unwrap_or(last);
        let outcomes = open(&folder, Mode::Resume).unwrap().outcomes(&pgd()).unwrap();
        let chunks = outcomes.len() as u32 / CHUNK;
        assert!(chunks > last, "chunk {last} was told of, and there are {chunks}");
        assert_eq!(exact(&outcomes), exact(&(0..chunks).flat_map(chunk).collect::<Vec<_>>()));
    }
}

fn a_second_process_is_told_which_one_holds_the_folder_and_gets_it_when_that_one_is_killed() {
    if let Some(folder) = std::env::var_os(CHILD) {
        commit_for_ever(Path::new(&folder));
    }
    let (_temporary, folder) = run_folder();
    let (mut process, mut told) = child("a_second_process_is_told_which_one_holds_the_folder_and_gets_it_when_that_one_is_killed", &folder);
    told.next().expect("the child commits");
    let pid = if cfg!(windows) { "another process".to_owned() } else { format!("pid {}", process.id()) };
    for mode in [Mode::Continue, Mode::Resume, Mode::Fresh] {
        expect_error(open(&folder, mode), Kind::Store, &["runs/digits", "in use", &pid, "--out"]);
    }
    assert!(!Store::read(&folder).unwrap().outcomes(&pgd()).unwrap().is_empty(), "reading needs no lock");
    process.kill().unwrap();
    process.wait().unwrap();
    open(&folder, Mode::Continue).unwrap();
}

fn a_place_that_cannot_be_written_is_named() {
    let (temporary, folder) = run_folder();
    let file = temporary.path().join("file");
    fs::write(&file, "").unwrap();
    expect_error(open(&file.join("run"), Mode::Continue), Kind::Store, &["file/run", "--out"]);
    expect_error(open(&file, Mode::Continue), Kind::Store, &["file", "--out"]);
    expect_error(write_atomic(&file.join("results.json"), b"{}"), Kind::Store, &["results.json", "--out"]);
    drop(open(&folder, Mode::Continue).unwrap());
    expect_error(Store::read(&folder).unwrap().put_fact("plan", "1"), Kind::Store, &["store.sqlite", "cannot be written", "--out"]);
}

#[cfg(unix)]
fn a_read_only_folder_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let (_temporary, folder) = run_folder();
    drop(open(&folder, Mode::Continue).unwrap());
    fs::remove_file(folder.join(".lock")).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).unwrap();
    if fs::write(folder.join("probe"), "").is_ok() {
        not_tested("this user writes into read-only folders, so none can be made");
    } else {
        expect_error(open(&folder, Mode::Continue), Kind::Store, &["runs/digits", "writable", "--out"]);
        expect_error(write_atomic(&folder.join("results.json"), b"{}"), Kind::Store, &["results.json", "writable"]);
    }
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
}

/// What the child does where space is short: chunks until one is refused, told with the number of those before it; those must be there
/// then, in the store that is open and in one that is opened again.
#[cfg(unix)]
fn commit_until_refused(folder: &Path) {
    let store = open(folder, Mode::Continue).unwrap();
    let (number, error) =
        (0..).find_map(|i| Some((i, store.commit_chunk(&pgd(), &device(64), &chunk(i), &cost(1.0)).err()?))).expect("space ends");
    let expected = exact(&(0..number).flat_map(chunk).collect::<Vec<_>>());
    assert_eq!(exact(&store.outcomes(&pgd()).unwrap()), expected);
    drop(store);
    assert_eq!(exact(&Store::read(folder).unwrap().outcomes(&pgd()).unwrap()), expected);
    println!("{:?}: {error:?}", error.kind());
    println!("committed {number}");
}

/// Runs `test` as a child of `command` under a shell's `setting`, and gives what it printed; nothing where there is no such command.
#[cfg(unix)]
fn child_with_little_space(command: &mut Command, setting: &str, folder: &Path, test: &str) -> String {
    command.args(["sh", "-c", &format!("{setting} && exec \"$@\""), "sh"]).arg(std::env::current_exe().unwrap());
    let output = as_child(command, test, folder).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}

#[cfg(unix)]
fn a_commit_that_finds_no_space_is_refused_and_those_before_it_are_kept() {
    const NAME: &str = "a_commit_that_finds_no_space_is_refused_and_those_before_it_are_kept";
    if let Some(folder) = std::env::var_os(CHILD) {
        return commit_until_refused(Path::new(&folder));
    }
    let (_temporary, folder) = run_folder();
    let told = child_with_little_space(&mut Command::new("env"), "trap '' XFSZ && ulimit -f 600", &folder, NAME);
    for part in ["Store: reading or writing", "store.sqlite failed", "whether the disk is full", "what was committed before is kept"] {
        assert!(told.contains(part), "{part:?} is missing in: {told}");
    }
    let number: u32 = told.lines().find_map(|line| line.strip_prefix("committed ")?.parse().ok()).expect(&told);
    assert!(number > 0);
    let store = open(&folder, Mode::Resume).unwrap();
    store.commit_chunk(&pgd(), &device(64), &chunk(number), &cost(1.0)).unwrap();
    assert_eq!(exact(&store.outcomes(&pgd()).unwrap()), exact(&(0..=number).flat_map(chunk).collect::<Vec<_>>()));
}

#[cfg(target_os = "linux")]
fn a_full_disk_is_named_and_loses_nothing() {
    if let Some(folder) = std::env::var_os(CHILD) {
        return commit_until_refused(Path::new(&folder));
    }
    let (_temporary, folder) = run_folder();
    fs::create_dir_all(&folder).unwrap();
    let mount = format!("mount -t tmpfs -o size=512k none '{}' && echo mounted", folder.display());
    let mut command = Command::new("unshare");
    let told = child_with_little_space(command.args(["-r", "-m"]), &mount, &folder, "a_full_disk_is_named_and_loses_nothing");
    if !told.contains("mounted") {
        return not_tested("this user may not mount a small disk, so none can be filled");
    }
    for part in ["Store: no space is left", "store.sqlite", "free some space", "kept", "committed "] {
        assert!(told.contains(part), "{part:?} is missing in: {told}");
    }
}
