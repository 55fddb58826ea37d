//! A forecast in words.

use crate::suite::forecast::{Basis, Forecast, Item, Kind, Span};

/// The forecast's pieces as a table, their sum, and what they rest on.
pub fn as_text(forecast: &Forecast) -> String {
    let line = |cells: [&str; 5]| {
        let [what, about, least, most, basis] = cells;
        format!("{what:44} {about:>12} {least:>12} {most:>12}  {basis}").trim_end().to_owned()
    };
    let mut lines = vec![line(["how long", "about", "at least", "at most", "by"])];
    let row = |what: &str, Span { low, guess, high }: Span, basis: &str| {
        let [low, guess, high] = [low, guess, high].map(duration);
        let sure = low == guess && guess == high;
        let (low, high) = if sure { (String::new(), String::new()) } else { (low, high) };
        line([what, &guess, &low, &high, basis])
    };
    lines.extend(forecast.items.iter().map(|item| row(&what(item), item.seconds, &basis(item.basis))));
    lines.push(row("in all", forecast.all, ""));
    let device = |(info, workers): &(crate::evaluate::results::DeviceInfo, usize)| {
        format!(
            "{}, {}",
            info.name,
            if *workers == 1 { format!("{} rows at once", info.slots) } else { format!("{workers} x {} rows at once", info.slots) }
        )
    };
    let devices: Vec<String> = forecast.devices.iter().map(device).collect();
    lines.push(format!("Speeds were measured here for {}: {}. Nothing was kept.", duration(forecast.calibration), devices.join("; ")));
    let rests = |wanted: fn(&Basis) -> bool| forecast.items.iter().any(|item| wanted(&item.basis));
    if rests(|basis| matches!(basis, Basis::Probed { .. })) {
        lines.push("By N examples: the suite's attack was run on so many, and its bounds are two standard errors.".into());
    }
    if rests(|basis| *basis == Basis::Assumed) {
        lines.push(
            "Assumed: while weights are still to be trained, training inside balls of a radius keeps half of the examples there and none at"
                .into(),
        );
        lines.push(
            "twice that, other training none at three quarters of the largest epsilon. At least: every row breaks at its first step; at most: none does.".into(),
        );
    }
    lines.join("\n")
}

fn what(item: &Item) -> String {
    match &item.kind {
        Kind::Start => "reading, opening the devices".into(),
        Kind::Training { defence } => format!("{defence}: training"),
        Kind::Clean { defence } => format!("{defence}: clean pass"),
        Kind::Series { defence, attack, norm } => format!("{defence}: {attack} under {}", norm.name()),
        Kind::Certificate { defence, certificate, norm } => format!("{defence}: certified by {certificate} under {}", norm.name()),
        Kind::Checks { defence } => format!("{defence}: checks"),
        Kind::Report => "report".into(),
    }
}

fn basis(basis: Basis) -> String {
    match basis {
        Basis::Measured => String::new(),
        Basis::Probed { examples } => format!("{examples} examples"),
        Basis::Assumed => "assumed".into(),
    }
}

/// Seconds as a reader says them, to two digits.
pub fn duration(seconds: f64) -> String {
    match seconds {
        _ if seconds < 0.1 => "0.1 s".into(),
        _ if seconds < 9.95 => format!("{seconds:.1} s"),
        _ if seconds < 99.5 => format!("{seconds:.0} s"),
        _ if seconds < 99.5 * 60.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3600.0),
    }
}
