//! Devices: the list is complete and in order, `--device` means what it says, an error shows the list and a way out, memory is settled
//! before use, and a card is opened once.

use burn::tensor::Tensor;
use gauntlet::Error;
use gauntlet::device::{
    Adapter, Choice, DEFAULT_BUDGET, Handle, Kind, Named, budget, choose, distinct, format_size, is_lost, list, open, parse, parse_size,
    probe, settle_slots, slots, table,
};
use gauntlet::error::Kind as ErrorKind;

use crate::Promise;

pub fn tests() -> Vec<Promise> {
    let plain = |name, run| Promise { name, needs_adapter: false, run };
    let adapter = |name, run| Promise { name, needs_adapter: true, run };
    vec![
        plain("the CPU is the last line of every list and needs no driver", the_cpu_is_always_there),
        plain("a card that several drivers report is listed once, and equal cards are kept apart", a_card_is_listed_once),
        plain("hardware stands before software rasterisers", hardware_first),
        plain("the words of --device are read", words_are_read),
        plain("every mistake in --device is reported at once, with what is known", mistakes_come_together),
        plain("auto takes every hardware GPU, or the CPU where there is none", auto_takes_hardware),
        plain("all adds the CPU, and no software rasteriser", all_adds_the_cpu),
        plain("a software rasteriser runs when named", software_when_named),
        plain("overlapping words mean each device once", overlaps_merge),
        plain("a wrong index shows the list and the way out", a_wrong_index_shows_the_list),
        plain("without an adapter the error says how to get one and that the CPU works", no_adapter_shows_the_way_out),
        plain("the table names every column's value", the_table_is_complete),
        plain("sizes of memory are read in every unit", sizes_are_read),
        plain("text that is no size of memory is refused with an example", wrong_sizes_are_refused),
        plain("sizes of memory are written in binary units", sizes_are_written),
        plain("the budget is never more than the API states", the_budget_is_bounded),
        plain("slots fill the budget and no more", slots_fill_the_budget),
        plain("slots halve until the device grants them", slots_halve),
        plain("opening an index that is not there shows the list", opening_nothing_shows_the_list),
        plain("the CPU computes", the_cpu_computes),
        adapter("every adapter computes under its own name", every_adapter_computes),
        adapter("opening an adapter twice gives the same device", opened_once),
        adapter("an adapter grants a small buffer and refuses an impossible one", adapters_are_probed),
        adapter("two adapters are two devices", two_adapters_are_two_devices),
        adapter("an adapter without memory for its slots goes on with half of them, and is remembered so", an_exhausted_adapter_goes_on),
    ]
}

fn card(index: usize, name: &str, kind: Kind) -> Adapter {
    Adapter {
        index: Some(index),
        name: name.into(),
        kind,
        api: "vulkan".into(),
        driver: "Example 1.2".into(),
        memory: Some(8 << 30),
        software: kind == Kind::Software,
        threads: None,
    }
}

fn cpu() -> Adapter {
    Adapter {
        index: None,
        name: "Example CPU".into(),
        kind: Kind::Cpu,
        api: "native".into(),
        driver: String::new(),
        memory: None,
        software: false,
        threads: Some(4),
    }
}

fn workstation() -> Vec<Adapter> {
    vec![card(0, "Big", Kind::Discrete), card(1, "Small", Kind::Integrated), card(2, "Painter", Kind::Software), cpu()]
}

fn chosen(text: &str, adapters: &[Adapter]) -> Vec<Choice> {
    choose(&parse(text).unwrap(), adapters).unwrap()
}

/// Message and help, as a user sees them.
fn shown(error: &Error) -> String {
    format!("{error:?}")
}

#[track_caller]
fn assert_shows(error: &Error, parts: &[&str]) {
    let text = shown(error);
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in {text:?}");
    }
}

fn the_cpu_is_always_there() {
    let adapters = list();
    let (last, others) = adapters.split_last().expect("a list has at least the CPU");
    assert_eq!((last.index, last.kind), (None, Kind::Cpu));
    assert!(!last.name.is_empty() && last.threads.is_some_and(|threads| threads > 0));
    for (at, adapter) in others.iter().enumerate() {
        assert_eq!(adapter.index, Some(at));
        assert_eq!(adapter.software, adapter.kind == Kind::Software);
    }
    assert!(others.is_sorted_by_key(|adapter| adapter.kind));
    assert_eq!(adapters, list(), "an index means the same card throughout");
}

fn info(device: u32, bus: &str, driver: &str, kind: wgpu::DeviceType) -> wgpu::AdapterInfo {
    let mut info = wgpu::AdapterInfo::new(kind, wgpu::Backend::Vulkan);
    info.vendor = 0x1002;
    info.device = device;
    info.device_pci_bus_id = bus.into();
    info.driver = driver.into();
    info
}

fn a_card_is_listed_once() {
    let card = |bus, driver| info(7, bus, driver, wgpu::DeviceType::DiscreteGpu);
    let two_drivers = [card("0000:01:00.0", "radv"), card("0000:01:00.0", "amdvlk")];
    assert_eq!(distinct(&two_drivers), [0]);
    let two_cards_two_drivers =
        [card("0000:01:00.0", "radv"), card("0000:02:00.0", "radv"), card("0000:01:00.0", "amdvlk"), card("0000:02:00.0", "amdvlk")];
    assert_eq!(distinct(&two_cards_two_drivers), [0, 1]);
    let no_address = [card("", "radv"), card("", "radv"), card("", "amdvlk"), card("", "amdvlk")];
    assert_eq!(distinct(&no_address), [0, 1]);
    let other_model = [card("", "radv"), info(8, "", "radv", wgpu::DeviceType::DiscreteGpu)];
    assert_eq!(distinct(&other_model), [0, 1]);
}

fn hardware_first() {
    use wgpu::DeviceType::{Cpu, DiscreteGpu, IntegratedGpu, Other, VirtualGpu};
    let infos = [info(1, "", "a", Cpu), info(2, "", "a", Other), info(3, "", "a", IntegratedGpu), info(4, "", "a", DiscreteGpu)];
    assert_eq!(distinct(&infos), [3, 2, 1, 0]);
    assert_eq!(distinct(&[info(1, "", "a", VirtualGpu), info(2, "", "a", VirtualGpu)]), [0, 1]);
}

fn words_are_read() {
    assert_eq!(parse("auto").unwrap().0, [Named::Auto]);
    assert_eq!(parse("cpu, gpu:0,gpu:12").unwrap().0, [Named::Cpu, Named::Gpu(0), Named::Gpu(12)]);
    assert_eq!(parse("all").unwrap().0, [Named::All]);
}

fn mistakes_come_together() {
    let error = parse("cuda,gpu,gpu:one,gpu:+1,cpu,cpu,,gpu:99999999999999999999999").unwrap_err();
    assert_eq!((error.kind(), error.all().len()), (ErrorKind::Input, 7));
    assert_shows(&error, &["\"cuda\" is no device", "as in gpu:0", "\"gpu:one\"", "\"gpu:+1\"", "cpu is named twice", "name is missing"]);
    assert_shows(&error, &["gpu:99999999999999999999999", "auto, cpu, all and gpu:N", "gauntlet devices"]);
    assert!(parse("gpu:1,gpu:01").is_err(), "one card under two spellings is named twice");
}

fn auto_takes_hardware() {
    assert_eq!(chosen("auto", &workstation()), [Choice::Gpu(0), Choice::Gpu(1)]);
    assert_eq!(chosen("auto", &[card(0, "Painter", Kind::Software), cpu()]), [Choice::Cpu]);
    assert_eq!(chosen("auto", &[cpu()]), [Choice::Cpu]);
}

fn all_adds_the_cpu() {
    assert_eq!(chosen("all", &workstation()), [Choice::Gpu(0), Choice::Gpu(1), Choice::Cpu]);
    assert_eq!(chosen("all", &[cpu()]), [Choice::Cpu]);
}

fn software_when_named() {
    assert_eq!(chosen("gpu:2", &workstation()), [Choice::Gpu(2)]);
    assert_eq!(chosen("auto,gpu:2", &workstation()), [Choice::Gpu(0), Choice::Gpu(1), Choice::Gpu(2)]);
}

fn overlaps_merge() {
    assert_eq!(chosen("cpu,gpu:1,all", &workstation()), [Choice::Cpu, Choice::Gpu(1), Choice::Gpu(0)]);
}

fn a_wrong_index_shows_the_list() {
    let error = choose(&parse("gpu:7,gpu:0,gpu:9").unwrap(), &workstation()).unwrap_err();
    assert_eq!((error.kind(), error.all().len()), (ErrorKind::Input, 2));
    assert_shows(&error, &["gpu:7", "gpu:9", "gpu:0 to gpu:2", "Big", "Small", "Painter", "Example CPU", "--device cpu"]);
    let one = choose(&parse("gpu:1").unwrap(), &[card(0, "Big", Kind::Discrete), cpu()]).unwrap_err();
    assert_shows(&one, &["gpu:1", "the only adapter is gpu:0", "Big"]);
}

fn no_adapter_shows_the_way_out() {
    let error = choose(&parse("gpu:0").unwrap(), &[cpu()]).unwrap_err();
    assert_shows(&error, &["no graphics adapter was found", "nstall", "driver", "--device cpu", "Example CPU"]);
}

fn the_table_is_complete() {
    let text = table(&workstation());
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 5);
    for part in ["device", "name", "kind", "API", "driver", "memory"] {
        assert!(lines[0].contains(part), "{part} in {}", lines[0]);
    }
    for part in ["gpu:0", "Big", "discrete", "vulkan", "Example 1.2", "8.00 GiB"] {
        assert!(lines[1].contains(part), "{part} in {}", lines[1]);
    }
    assert!(lines[3].contains("software rasteriser: runs only when named"));
    assert!(!lines[1].contains("software"));
    assert!(lines[4].starts_with("cpu") && lines[4].contains("4 threads") && lines[4].contains("unknown"));
    assert!(lines.iter().all(|line| line.trim_end() == *line));
}

fn sizes_are_read() {
    for (text, bytes) in [
        ("1", 1),
        ("1073741824", 1 << 30),
        ("512MiB", 512 << 20),
        ("512 mib", 512 << 20),
        ("2GB", 2_000_000_000),
        ("1.5GiB", 3 << 29),
        ("0.5KB", 500),
        ("3TiB", 3 << 40),
        ("9007199254740993B", 9_007_199_254_740_993),
        ("18446744073709551615", u64::MAX),
    ] {
        assert_eq!(parse_size(text).unwrap(), bytes, "{text}");
    }
}

fn wrong_sizes_are_refused() {
    for text in
        ["", "GiB", "0", "0.1B", "-1GiB", "1.2.3GiB", "1GiBs", "12 parsecs", "inf", "NaN", "1e9", "18446744073709551616", "17000000TiB"]
    {
        let error = parse_size(text).expect_err(text);
        assert_eq!(error.kind(), ErrorKind::Input, "{text}");
        assert_shows(&error, &[text, "512MiB"]);
    }
}

fn sizes_are_written() {
    for (bytes, text) in [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "0.98 KiB"),
        (1 << 30, "1.00 GiB"),
        (3 << 29, "1.50 GiB"),
        (24 << 30, "24.0 GiB"),
        (139 << 30, "139 GiB"),
        (u64::MAX, "16.0 EiB"),
    ] {
        assert_eq!(format_size(bytes), text);
    }
}

fn stating(memory: Option<u64>) -> Handle {
    let mut handle = open(Choice::Cpu).unwrap();
    handle.memory = memory;
    handle
}

fn the_budget_is_bounded() {
    assert_eq!(budget(&stating(None), None), DEFAULT_BUDGET);
    assert_eq!(budget(&stating(None), Some(5 << 30)), 5 << 30);
    assert_eq!(budget(&stating(Some(8 << 30)), Some(5 << 30)), 5 << 30);
    assert_eq!(budget(&stating(Some(8 << 30)), Some(64 << 30)), 8 << 30);
    assert_eq!(budget(&stating(Some(8 << 30)), None), 4 << 30);
}

fn slots_fill_the_budget() {
    assert_eq!(slots(1000, 100, 256).unwrap(), 10);
    assert_eq!(slots(1099, 100, 256).unwrap(), 10);
    assert_eq!(slots(1000, 100, 3).unwrap(), 3);
    assert_eq!(slots(100, 100, 256).unwrap(), 1);
    let error = slots(99, 100, 256).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Device);
    assert_shows(&error, &["100 bytes", "99 bytes", "--memory"]);
}

fn slots_halve() {
    let cpu = open(Choice::Cpu).unwrap();
    assert_eq!(settle_slots(&cpu, 1 << 20, 1 << 10, 64).unwrap(), 64);
    // What is free is known on Linux only.
    if cfg!(target_os = "linux") {
        assert!(!probe(&cpu, 1 << 60));
        let settled = settle_slots(&cpu, u64::MAX, 1 << 20, 1 << 40).unwrap();
        assert!(settled.is_power_of_two() && (16..1 << 40).contains(&settled), "{settled} MiB, where at least 16 MiB must be free");
        let error = settle_slots(&cpu, u64::MAX, 1 << 60, 8).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Device);
        assert_shows(&error, &["1.00 EiB", "16.0 EiB", &cpu.info.name]);
    }
}

fn opening_nothing_shows_the_list() {
    let error = open(Choice::Gpu(4096)).unwrap_err();
    let cpu = list().pop().unwrap();
    assert_shows(&error, &["gpu:4096", &cpu.name, "--device cpu"]);
}

fn assert_computes(handle: &Handle) {
    let x = Tensor::<2>::from_floats([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], &handle.device);
    let product = x.clone().matmul(x.transpose()) + 0.5;
    let values: Vec<f32> = product.into_data().try_to_vec().unwrap();
    assert_eq!(values, [14.5, 32.5, 32.5, 77.5], "{}", handle.info.name);
    assert!(!is_lost(handle));
}

fn the_cpu_computes() {
    let handle = open(Choice::Cpu).unwrap();
    assert_computes(&handle);
    assert!(handle.setup.is_none());
    assert_eq!((handle.info.backend.as_str(), handle.info.compiler.as_str()), ("cpu", gauntlet::frozen::ROUTE));
}

fn adapters() -> Vec<(Adapter, Handle)> {
    let listed = list().into_iter().filter_map(|adapter| Some((Choice::Gpu(adapter.index?), adapter)));
    let open: Vec<_> = listed.map(|(choice, adapter)| (adapter, open(choice).unwrap())).collect();
    assert!(!open.is_empty(), "this promise wants an adapter, and none was found");
    open
}

fn every_adapter_computes() {
    for (adapter, handle) in adapters() {
        assert_computes(&handle);
        assert_eq!(handle.info.name, adapter.name);
        assert_eq!(handle.info.backend, adapter.api);
        assert_eq!(handle.info.driver, adapter.driver);
        assert_eq!((handle.info.compiler.as_str(), handle.info.precision.as_str()), (&*gauntlet::frozen::gpu_route("wgsl"), "f32"));
        let setup = handle.setup.as_ref().expect("an adapter has a setup");
        assert_eq!(setup.device.adapter_info().name, adapter.name);
        assert_eq!(handle.memory, if adapter.software { None } else { adapter.memory });
    }
}

fn opened_once() {
    let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(|| open(Choice::Gpu(0)).unwrap())).collect();
    let handles: Vec<Handle> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    for pair in handles.windows(2) {
        assert_eq!(pair[0].device, pair[1].device);
        assert_eq!(pair[0].setup.as_ref().unwrap().queue, pair[1].setup.as_ref().unwrap().queue);
    }
    assert_ne!(handles[0].device, open(Choice::Cpu).unwrap().device);
}

fn adapters_are_probed() {
    for (adapter, handle) in adapters() {
        assert!(probe(&handle, 1 << 20), "{} refuses a mebibyte", adapter.name);
        assert!(!probe(&handle, 1 << 50), "{} grants a pebibyte", adapter.name);
        assert_eq!(settle_slots(&handle, 1 << 20, 1 << 14, 16).unwrap(), 16);
        assert_computes(&handle);
    }
}

fn two_adapters_are_two_devices() {
    let adapters = adapters();
    for (at, (_, one)) in adapters.iter().enumerate() {
        for (_, other) in &adapters[at + 1..] {
            assert_ne!(one.device, other.device);
            assert_ne!(one.setup.as_ref().unwrap().device, other.setup.as_ref().unwrap().device);
        }
    }
}

const SUITE: &str = r#"
title = "Wide inputs"
[data]
source = "digits"
examples = 40
scale = 16
[[threat]]
norm = "linf"
epsilons = [0.05]
[[defence]]
name = "plain"
model = { architecture = "mlp", seed = 1, hidden = 16, layers = 1 }
train = { method = "standard", epochs = 2 }
[[attack]]
kind = "pgd"
steps = 3
"#;

fn an_exhausted_adapter_goes_on() {
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::write(folder.path().join("suite.toml"), SUITE).unwrap();
    let run = |device: &str, more: &[&str]| {
        let fixed = ["run", "suite.toml", "--device", device, "--out", &device[..3], "--weights", "weights", "--no-checks"];
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_gauntlet"))
            .args(fixed)
            .args(more)
            .current_dir(folder.path())
            // A tensor of half of the rows fits.
            .env(gauntlet::device::LARGEST_BUFFER, "16MiB")
            .env("CUBECL_AUTOTUNE_LEVEL", "0")
            .output()
            .unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "{text}");
        let results = std::fs::read(folder.path().join(&device[..3]).join("results.json")).unwrap();
        (text, serde_json::from_slice::<serde_json::Value>(&results).unwrap())
    };
    let (_, cpu) = run("cpu", &[]);
    let (said, gpu) = run("gpu:0", &["--slots", "320"]);
    assert!(said.contains("ran out of memory with 320 slots and goes on with 160"), "{said}");
    assert_eq!(gpu["devices"][0]["slots"], 160);
    let robust = |results: &serde_json::Value| results["cells"][0]["robust_accuracy"].as_f64().unwrap();
    assert!((robust(&cpu) - robust(&gpu)).abs() < 0.026, "one example of 40 at most: {} {}", robust(&cpu), robust(&gpu));
    let (said, _) = run("gpu:0", &["--slots", "320"]);
    assert!(said.contains("Nothing to do"), "{said}");
}
