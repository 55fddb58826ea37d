//! What other programs read is what was found.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use gauntlet::evaluate::accuracy::Clean;
use gauntlet::evaluate::record::{ExampleOutcomes, Outcome, SeriesKey, Settled, Verdict};
use gauntlet::evaluate::results::{Cell, Check, DataInfo, DeviceInfo, Results, Timing};
use gauntlet::report::exports::{SeriesRows, write_csv, write_json, write_parquet};
use gauntlet::threat::Norm;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};

promises! {
    results_json_keeps_the_order_of_its_fields_and_every_bit_of_its_numbers,
    results_csv_has_a_line_a_cell_that_reads_back,
    examples_parquet_reads_back_row_by_row_with_names_and_nulls,
    a_long_series_comes_in_row_groups_of_bounded_size,
    an_error_midway_leaves_the_old_parquet_file,
}

fn device() -> DeviceInfo {
    let text = |text: &str| text.to_owned();
    let (name, backend, driver) = (text("llvmpipe, \"soft\""), text("vulkan"), text("Mesa"));
    DeviceInfo { name, backend, driver, compiler: text("wgsl"), precision: text("f32"), slots: 256 }
}

fn cell(defence: &str, epsilon: f64, median_distance: Option<f64>) -> Cell {
    Cell {
        defence: defence.into(),
        attack: "pgd".into(),
        norm: Norm::Linf,
        epsilon,
        examples: 3,
        failed: 1,
        inferred: 2,
        clean_accuracy: 1.0,
        robust_accuracy: 1.0 / 3.0,
        ci95: [0.1 + 0.2, f64::MIN_POSITIVE],
        median_distance,
        forwards: u64::MAX,
        backwards: 7,
    }
}

fn results() -> Results {
    let data = DataInfo { name: "digits, test".into(), examples: 3, classes: 10, shape: [1, 8, 8], hash: "ab".into() };
    let check = Check { defence: "d".into(), check: "c".into(), verdict: "pass".into(), detail: "é\n".into(), forwards: 1 };
    Results {
        suite: "Digits".into(),
        seed: u64::MAX,
        version: "0.1.0".into(),
        complete: true,
        planned: 2,
        devices: vec![device()],
        data,
        defences: vec![],
        cells: vec![cell("plain", 8.0 / 255.0, None), cell("a \"b\", c\r\nd", 0.1, Some(0.05))],
        worst_case: vec![],
        apparent_gains: Vec::new(),
        groups: Vec::new(),
        checks: vec![check],
        hardened: Vec::new(),
        certified: Vec::new(),
        uncertified: Vec::new(),
        timing: Timing::default(),
    }
}

fn results_json_keeps_the_order_of_its_fields_and_every_bit_of_its_numbers() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("results.json");
    write_json(&path, &results()).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let order =
        ["\"suite\"", "\"seed\"", "\"version\"", "\"complete\"", "\"planned\"", "\"devices\"", "\"cells\"", "\"checks\"", "\"timing\""];
    let places: Vec<_> = order.iter().map(|name| text.find(name).unwrap()).collect();
    assert!(places.is_sorted(), "{text}");
    for number in [8.0 / 255.0, 1.0 / 3.0, 0.1 + 0.2, f64::MIN_POSITIVE] {
        let is_it = |token: &str| token.parse::<f64>().is_ok_and(|found| found.to_bits() == number.to_bits());
        assert!(text.split([' ', ',', '\n']).any(is_it), "{number} is missing");
    }
    assert!(text.contains("\"median_distance\": null") && text.contains("\"norm\": \"linf\"") && text.ends_with("}\n"));
    assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap()["seed"], u64::MAX);
}

/// Fields of RFC 4180 text, read by its own grammar.
fn parse_csv(text: &str) -> Vec<Vec<String>> {
    let (mut records, mut record, mut field, mut within) = (vec![], vec![], String::new(), false);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if within && characters.peek() == Some(&'"') => field.extend(characters.next()),
            '"' => within = !within,
            ',' if !within => record.push(std::mem::take(&mut field)),
            '\r' if !within && characters.next() == Some('\n') => {
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            other => field.push(other),
        }
    }
    assert!(!within && field.is_empty() && record.is_empty(), "the last line ends like the others");
    records
}

fn results_csv_has_a_line_a_cell_that_reads_back() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("results.csv");
    write_csv(&path, &results()).unwrap();
    let records = parse_csv(&fs::read_to_string(&path).unwrap());
    let expected = "defence,attack,norm,epsilon,examples,failed,inferred,clean_accuracy,robust_accuracy,ci95_low,ci95_high,median_distance,\
                    forwards,backwards,adaptive";
    assert_eq!(records[0].join(","), expected);
    assert_eq!(records.len(), 3);
    for (record, cell) in records[1..].iter().zip(&results().cells) {
        assert_eq!(record.len(), 15);
        assert_eq!(record[0], cell.defence);
        let numbers = [(3, cell.epsilon), (8, cell.robust_accuracy), (9, cell.ci95[0]), (10, cell.ci95[1])];
        assert!(numbers.iter().all(|&(column, number)| record[column].parse::<f64>().unwrap().to_bits() == number.to_bits()));
        assert_eq!(record[12], cell.forwards.to_string());
    }
    assert_eq!([&records[1][11], &records[2][11]], ["", "0.05"]);
}

const EPSILONS: [f64; 2] = [0.1, 0.2];
const CLEAN: Clean =
    Clean { ids: &[4, 7, u32::MAX], labels: &[1, 2, 3], predictions: &[1, 9, 3], failed: &[false, false, true], rejected: &[false; 3] };

fn outcomes(example: u32) -> ExampleOutcomes {
    let outcome = |verdict, settled, distance| Outcome { verdict, settled, distance, forwards: u32::MAX, backwards: example };
    let outcomes = match example {
        4 => [outcome(Verdict::Survived, Settled::Inferred, None), outcome(Verdict::Broken, Settled::Attack, Some(0.15))],
        7 => [outcome(Verdict::Broken, Settled::Clean, Some(0.0)); 2],
        _ => [outcome(Verdict::Failed, Settled::Attack, None), outcome(Verdict::Broken, Settled::Distance, Some(f32::MIN_POSITIVE))],
    };
    ExampleOutcomes { example, outcomes: outcomes.to_vec() }
}

fn series(attack: &str, examples: impl Iterator<Item = u32>) -> SeriesRows<'static> {
    let device = Arc::new(device());
    SeriesRows {
        series: SeriesKey { defence: "undefended".into(), attack: attack.into(), norm: Norm::L2 },
        epsilons: &EPSILONS,
        clean: CLEAN,
        rows: examples.map(|example| (device.clone(), outcomes(example))).collect(),
    }
}

fn read_parquet(path: &Path) -> Vec<Row> {
    let reader = SerializedFileReader::new(fs::File::open(path).unwrap()).unwrap();
    reader.get_row_iter(None).unwrap().map(Result::unwrap).collect()
}

/// The row as the file should give it, a field after the other.
fn expected(attack: &str, example: u32, index: usize) -> Vec<Field> {
    let text = |text: &str| Field::Str(text.into());
    let place = CLEAN.ids.iter().position(|&id| id == example).unwrap();
    let outcome = outcomes(example).outcomes[index];
    let name = |value| text(serde_json::to_value(value).unwrap().as_str().unwrap());
    vec![
        text("undefended"),
        text(attack),
        text("l2"),
        Field::Double(EPSILONS[index]),
        Field::UInt(example),
        Field::UInt(CLEAN.labels[place]),
        if CLEAN.failed[place] { Field::Null } else { Field::UInt(CLEAN.predictions[place]) },
        name(serde_json::json!(outcome.verdict)),
        outcome.distance.map_or(Field::Null, Field::Float),
        name(serde_json::json!(outcome.settled)),
        Field::UInt(outcome.forwards),
        Field::UInt(outcome.backwards),
        text("llvmpipe, \"soft\""),
        text("wgsl"),
        text("f32"),
        Field::UInt(256),
    ]
}

fn fields(row: &Row) -> Vec<Field> {
    row.get_column_iter().map(|(_, field)| field.clone()).collect()
}

fn examples_parquet_reads_back_row_by_row_with_names_and_nulls() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("examples.parquet");
    let all = ["pgd", "fgsm"].map(|attack| Ok(series(attack, CLEAN.ids.iter().copied())));
    write_parquet(&path, all).unwrap();
    let rows = read_parquet(&path);
    let names: Vec<_> = rows[0].get_column_iter().map(|(name, _)| name.as_str()).collect();
    let columns = "defence attack norm epsilon example label clean_prediction verdict distance settled forwards backwards device compiler precision slots";
    assert_eq!(names.join(" "), columns);
    let expected =
        ["pgd", "fgsm"].iter().flat_map(|attack| CLEAN.ids.iter().flat_map(|&id| [0, 1].map(|index| expected(attack, id, index))));
    assert_eq!(rows.iter().map(fields).collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    write_parquet(&path, []).unwrap();
    assert_eq!(read_parquet(&path).len(), 0, "a run without a finished series has a file without rows");
}

fn a_long_series_comes_in_row_groups_of_bounded_size() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("examples.parquet");
    let examples = 40_000;
    write_parquet(&path, [Ok(series("pgd", CLEAN.ids.iter().copied().cycle().take(examples)))]).unwrap();
    let reader = SerializedFileReader::new(fs::File::open(&path).unwrap()).unwrap();
    let groups: Vec<_> = reader.metadata().row_groups().iter().map(|group| group.num_rows()).collect();
    assert_eq!(groups, [65_536, 80_000 - 65_536]);
    let last = reader.get_row_iter(None).unwrap().last().unwrap().unwrap();
    assert_eq!(fields(&last), expected("pgd", CLEAN.ids[(examples - 1) % 3], 1));
}

fn an_error_midway_leaves_the_old_parquet_file() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("examples.parquet");
    write_parquet(&path, [Ok(series("pgd", [4].into_iter()))]).unwrap();
    let old = fs::read(&path).unwrap();
    let stranger = write_parquet(&path, [Ok(series("pgd", [4].into_iter())), Ok(series("fgsm", [5].into_iter()))]);
    assert!(stranger.unwrap_err().message().contains("undefended, fgsm, l2: the 2 outcomes of example 5"));
    assert!(write_parquet(&path, [Err(gauntlet::Error::store("gone"))]).is_err());
    assert_eq!(fs::read(&path).unwrap(), old);
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 1);
}
