//! Defences side by side: one table with a row a recipe, of which the reader chooses norm, epsilon, columns and rows.

use std::fmt::Write as _;

use super::super::side::{self, Line};
use super::super::text::{self, count, escape, interval, percent};
use super::super::view::View;
use crate::evaluate::results::Group;
use crate::evaluate::spread::Spread;
use crate::threat::Norm;

/// The norm and epsilon that a column, a sentence or a plot belongs to.
type At = Option<(Norm, f64)>;

/// Attributes by which the page's script finds what belongs to a norm and epsilon; nothing for what belongs to all.
pub fn at(at: At) -> String {
    at.map_or(String::new(), |(norm, epsilon)| format!(" data-norm=\"{}\" data-epsilon=\"{epsilon}\"", norm.name()))
}

/// An entry of a line: what is shown, and what it is sorted by.
type Entries<'a> = Box<dyn Fn(&Line) -> (String, String) + 'a>;

/// A column: what the reader switches it by, where it belongs, what it is headed by.
struct Column<'a> {
    kind: &'a str,
    at: At,
    head: String,
    /// What the numbers that it is sorted and filtered by are counted in; empty for words.
    unit: &'static str,
    of: Entries<'a>,
}

/// The table with its controls, what it says at every norm and epsilon, and `plots`; empty where no attack has finished.
pub fn section(view: &View, plots: &str) -> String {
    let points = points(view);
    if points.is_empty() {
        return String::new();
    }
    let lines = side::lines(view);
    let columns = columns(view, &points);
    let mut html = format!("<div class=\"side\">\n{}", controls(view, &points, &columns, lines.iter().any(|line| line.weights.len() > 1)));
    for &point in &points {
        let found = side::findings(view, point.0, point.1);
        if !found.is_empty() {
            let _ = writeln!(html, "<p{}>{}</p>", at(Some(point)), escape(&found));
        }
    }
    html += &table(&lines, &columns);
    let _ = writeln!(html, "<p class=\"remark\">{}</p>\n{plots}</div>", escape(&side::note(view, true)));
    html
}

/// Every norm with every epsilon that something is attacked at.
fn points(view: &View) -> Vec<(Norm, f64)> {
    view.norms.iter().flat_map(|&norm| view.radii(norm).into_iter().map(move |epsilon| (norm, epsilon))).collect()
}

fn controls(view: &View, points: &[(Norm, f64)], columns: &[Column], seeds: bool) -> String {
    let mut html = String::from("<form class=\"controls\" hidden>\n<label class=\"point\">norm <select name=\"norm\">");
    let mut norms: Vec<Norm> = points.iter().map(|(norm, _)| *norm).collect();
    norms.dedup();
    for norm in norms {
        let _ = write!(html, "<option value=\"{}\">{}</option>", norm.name(), text::norm(norm));
    }
    html.push_str("</select></label>\n<label class=\"point\">epsilon <select name=\"epsilon\">");
    for &(norm, epsilon) in points {
        let opens = if view.opening(norm) == Some(epsilon) { " data-opens" } else { "" };
        let _ = write!(html, "<option value=\"{epsilon}\" data-norm=\"{}\"{opens}>{}</option>", norm.name(), text::distance(epsilon));
    }
    html.push_str("</select></label>\n<label>find <input type=\"search\" name=\"find\" placeholder=\"name, training …\"></label>\n");
    if seeds {
        html.push_str("<label><input type=\"checkbox\" name=\"seeds\"> a row a seed</label>\n");
    }
    html.push_str("<fieldset><legend>columns</legend>");
    let mut kinds: Vec<&str> = Vec::new();
    for column in columns.iter().filter(|column| column.kind != "defence") {
        if !kinds.contains(&column.kind) {
            kinds.push(column.kind);
            let kind = escape(column.kind);
            let _ = write!(html, "<label><input type=\"checkbox\" name=\"column\" value=\"{kind}\" checked> {kind}</label> ");
        }
    }
    html + "</fieldset>\n<p class=\"count\" role=\"status\"></p>\n</form>\n"
}

fn columns<'a>(view: &'a View, points: &[(Norm, f64)]) -> Vec<Column<'a>> {
    let mut columns: Vec<Column> = Vec::new();
    let mut add = |kind: &'a str, at: At, head: String, unit: &'static str, of: Entries<'a>| {
        columns.push(Column { kind, at, head, unit, of });
    };
    add("defence", None, "defence".into(), "", Box::new(move |line| name(view, line)));
    add("training", None, "training".into(), "", Box::new(training));
    add("clean", None, "clean".into(), "%", Box::new(move |line| share(line.clean(view))));
    for &(norm, epsilon) in points {
        let here = Some((norm, epsilon));
        let under = format!("<br><small>{} ε {}</small>", text::norm(norm), text::distance(epsilon));
        for attack in view.attacks(norm) {
            let head = format!("{}{under}", escape(attack));
            add(attack, here, head, "%", Box::new(move |line| share(line.under(view, attack, norm, epsilon))));
        }
        add("worst case", here, format!("worst case{under}"), "%", Box::new(move |line| share(line.worst(view, norm, epsilon))));
        if side::is_certified(view, norm, epsilon) {
            add("certified", here, format!("certified{under}"), "%", Box::new(move |line| share(line.certified(view, norm, epsilon))));
        }
        if view.results.groups.iter().any(|group| group.norm == norm && group.epsilon == epsilon) {
            let letters = |group: &Group| (format!("<b>{}</b>", escape(&group.letters)), escape(&group.letters));
            let group = move |line: &Line| line.group(view, norm, epsilon).map_or_else(missing, letters);
            add("group", here, format!("group{under}"), "", Box::new(group));
        }
    }
    let seconds = |seconds: Option<f64>| seconds.map_or_else(missing, |seconds| (side::span(seconds), seconds.to_string()));
    add("training time", None, "training time".into(), "s", Box::new(move |line| seconds(line.training_seconds(view))));
    add("1,000 images", None, "1,000 images".into(), "s", Box::new(move |line| seconds(line.inference_seconds(view))));
    let whole = |number: Option<u64>, shown: fn(u64) -> String| number.map_or_else(missing, |number| (shown(number), number.to_string()));
    let head = "operations<br><small>an image</small>";
    add("operations", None, head.into(), "operations", Box::new(move |line| whole(line.flops(), side::operations)));
    add("memory", None, "memory".into(), "bytes", Box::new(move |line| whole(line.memory(), crate::device::format_size)));
    let parameters =
        |line: &Line| line.infos.first().map_or_else(missing, |info| (count(info.parameters as u64), info.parameters.to_string()));
    add("parameters", None, "parameters".into(), "parameters", Box::new(parameters));
    columns
}

fn table(lines: &[Line], columns: &[Column]) -> String {
    let some = |seeds: fn(usize) -> bool| lines.iter().any(|line| seeds(line.weights.len()));
    let two = if some(|seeds| seeds == 2) { "; of two seeds both instead" } else { "" };
    let more = if some(|seeds| seeds > 2) {
        "; of three seeds or more that of their mean, over examples and seeds, and the smallest, the largest and the standard deviation (sd)"
    } else {
        ""
    };
    let mut html = format!(
        "<p class=\"remark\"><b class=\"here\"></b>Shares of all examples; below each its 95 % interval{two}{more}.</p>\n\
         <div class=\"scroll table\" tabindex=\"0\" role=\"region\" aria-label=\"Defences side by side\"><table class=\"sortable quiet\">\
         <caption>Defences side by side</caption>\n<thead><tr>"
    );
    for column in columns {
        let (at, kind) = (at(column.at), escape(column.kind));
        let _ = write!(html, "<th scope=\"col\"{at} data-column=\"{kind}\" data-unit=\"{}\">{}</th>", column.unit, column.head);
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for line in lines {
        row(&mut html, line, columns, "");
        line.single().iter().for_each(|seed| row(&mut html, seed, columns, " class=\"seed\""));
    }
    html + "</tbody></table></div>\n"
}

fn row(html: &mut String, line: &Line, columns: &[Column], class: &str) {
    let _ = write!(html, "<tr{class}>");
    for column in columns {
        let (shown, key) = (column.of)(line);
        let (open, close) = if column.kind == "defence" { ("th scope=\"row\"", "th") } else { ("td", "td") };
        let number = if key.parse::<f64>().is_ok() || key.is_empty() { " class=\"n\"" } else { "" };
        let kind = escape(column.kind);
        let _ = write!(html, "<{open}{number}{} data-column=\"{kind}\" data-key=\"{key}\">{shown}</{close}>", at(column.at));
    }
    html.push_str("</tr>\n");
}

/// That so many checks of a defence's evaluation say no.
pub(super) fn refused(checks: usize) -> Option<String> {
    let words = match checks {
        0 => return None,
        1 => "a check fails".to_owned(),
        several => format!("{several} checks fail"),
    };
    Some(format!("<small class=\"refused\">⚠ {words}</small>"))
}

fn name(view: &View, line: &Line) -> (String, String) {
    let seeds = line.weights.len();
    let remark = match seeds {
        1 => "these weights".to_owned(),
        _ if line.is_general() => format!("{seeds} seeds"),
        _ => format!("{seeds} seeds: these weights"),
    };
    let refused = refused(line.failed_checks(view)).map_or(String::new(), |refused| format!("<br>{refused}"));
    let unknown = if line.is_adaptive() { "" } else { "<br><small class=\"refused\">⚠ attacks do not know it</small>" };
    (format!("{}<br><small>{remark}</small>{unknown}{refused}", escape(line.name)), escape(line.name))
}

fn training(line: &Line) -> (String, String) {
    let words = if line.training().is_empty() { "weights loaded" } else { line.training() };
    (format!("{}<br><small>{}</small>", escape(words), escape(line.architecture())), escape(words))
}

fn share(share: Option<Spread>) -> (String, String) {
    let Some(spread) = share else { return missing() };
    let (low, high, deviation) = (100.0 * spread.low, 100.0 * spread.high, 100.0 * spread.deviation);
    let mut shown = format!("<b>{}</b><br><small>", percent(spread.mean));
    let _ = match spread.seeds {
        1 => write!(shown, "{}</small>", interval(spread.ci95)),
        2 => write!(shown, "{low:.1} and {high:.1}</small>"),
        _ => write!(shown, "{}</small><br><small>{low:.1} to {high:.1}, sd {deviation:.1}</small>", interval(spread.ci95)),
    };
    (shown, (100.0 * spread.mean).to_string())
}

fn missing() -> (String, String) {
    ("–".to_owned(), String::new())
}
