//! What a suite names must be there.

use std::fs;

use gauntlet::suite::{moved, read};

use super::{EXAMPLE, catalogue, way_out};

promises! {
    files_that_a_suite_names_must_exist,
    paths_are_moved_wherever_a_suite_has_them,
}

fn files_that_a_suite_names_must_exist() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &[u8]| std::fs::write(folder.path().join(name), text).expect("a file");
    write("w.safetensors", b"");
    write("x.npz", b"");
    let text = EXAMPLE
        .replace(
            "source   = \"digits\"",
            "source = \"npz\"\npath = \"x.npz\"\ntrain = { source = \"npz\", path = \"x.npz\", split = \"4..9\" }",
        )
        .replace("\"test\"", "\" 0 .. 4\"")
        .replacen("train = { method = \"standard\", epochs = 10 }", "", 1)
        .replacen("seed = 1 }", "weights = \"w.safetensors\" }", 1);
    write("good.toml", text.as_bytes());
    let at = |name: &str| read(&folder.path().join(name), &[], &catalogue());
    let suite = at("good.toml").expect("a suite");
    assert_eq!((suite.data.split.as_deref(), suite.data.options.text("path")), (Some("0..4"), Some("x.npz")));
    assert_eq!((suite.defences[0].train.is_none(), suite.base.as_path()), (true, folder.path()));
    for (range, read) in [("all", "all"), ("5..", "5.."), ("..5", "0..5")] {
        let elsewhere =
            text.replacen("train = { source = \"npz\", path = \"x.npz\", split = \"4..9\" }", "train = { source = \"digits\" }", 1);
        write("range.toml", elsewhere.replacen("\" 0 .. 4\"", &format!("{range:?}"), 1).as_bytes());
        assert_eq!(at("range.toml").expect(range).data.split.as_deref(), Some(read));
    }
    let count = |from: &str, to: &str, message: &str| {
        write("bad.toml", text.replacen(from, to, 1).as_bytes());
        let error = at("bad.toml").expect_err(to);
        assert!(error.all().len() == 1 && error.message().contains(message), "{error:?}");
    };
    count("\"x.npz\"", "\"y.npz\"", "`path` of [data] does not exist");
    assert!(way_out(&at("bad.toml").expect_err("no file")).contains("--set data.path=FILE"));
    count("path = \"x.npz\"", "", "[data] has no `path`");
    count("path = \"x.npz\"", "path = 3", "the whole number 3");
    count("\" 0 .. 4\"", "\"test\"", "the text \"test\"");
    count("\" 0 .. 4\"", "\"4..4\"", "the text \"4..4\"");
    count("\"4..9\"", "\"2..9\"", "[data] and [data.train] share the examples 2..4 of the same npz");
    count("\" 0 .. 4\"", "\"5..\"", "share the examples 5..9");
    count("\"w.safetensors\"", "\"v.safetensors\"", "weights` of the model of defence `undefended`: there is no file");
    count("train = { source = \"npz\", path = \"x.npz\", split = \"4..9\" }", "", "has no split \"train\"");
    write("latin.toml", b"title = 'a'\nseed = 1 # \xe9\n");
    assert!(at("latin.toml").expect_err("not UTF-8").message().contains("line 2"));
    let absent = at("absent.toml").expect_err("no file");
    assert!(absent.message().contains("absent.toml") && !way_out(&absent).is_empty(), "{absent:?}");
}

fn paths_are_moved_wherever_a_suite_has_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let [suites, run, data] = ["suites", "runs/mine", "data"].map(|name| folder.path().join(name));
    for folder in [&suites, &run, &data] {
        fs::create_dir_all(folder).expect("a folder");
    }
    for name in ["a.npz", "b.npz", "c.onnx", "d.pt", "e.onnx", "f.pt"] {
        fs::write(data.join(name), "").expect("a file");
    }
    let text = |to: &str| {
        format!(
            r#"data.source = "npz" # kept
data.path = "{to}a.npz"
data.train = {{ source = "npz", path = "{to}b.npz" }}

[[defence]]
model = {{ onnx = "{to}c.onnx" }}   # and this

[[defence]]
name = "{to}a.npz"
[defence.model]
weights = "{to}d.pt"

[[defence]]
models = [{{ onnx = "{to}e.onnx" }}, {{ weights = "{to}f.pt", seed = 1 }}]
"#
        )
    };
    let expected = text("../../data/").replace("name = \"../../data/", "name = \"../data/");
    assert_eq!(moved(&text("../data/"), &suites, &run).as_deref(), Some(&*expected));
    assert_eq!(moved(&expected, &run, &suites), Some(text("../data/")), "and back");
    assert_eq!(moved(&text("../data/"), &suites, &suites), None, "nothing is to be changed");
    assert_eq!(moved(&text("../data/"), &suites, &folder.path().join("nowhere")), None);
    let absolute = text(&format!("{}/", data.display()));
    assert_eq!(moved(&absolute, &suites, &run), None, "absolute paths lead there from everywhere");
    assert_eq!(moved("[data]\npath = \".\"\n", &suites, &run).as_deref(), Some("[data]\npath = \"../../suites\"\n"));
    assert_eq!(moved("[data]\npath = \"../suites\"\n", &data, &suites).as_deref(), Some("[data]\npath = \".\"\n"));
    assert_eq!(moved("[data]\npath = \"gone/x.npz\"\n", &suites, &run), None, "what leads nowhere stays as it is");
}
