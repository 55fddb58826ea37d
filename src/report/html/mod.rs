//! `report.html`: one file without any outside resource, for screens of every size and for print.

mod checks;
mod side;
mod tables;
mod words;

use std::fmt::Write as _;

use super::gallery::Exhibit;
use super::text::escape;
use super::view::View;
use super::{Inputs, Plot, Section, render};
use crate::Result;

const STYLE: &str = include_str!("style.css");
const SCRIPTS: [&str; 2] = [include_str!("sort.js"), include_str!("side.js")];

/// The whole page; `drawings` are the plots as SVG, in the plots' order.
///
/// # Errors
/// Images of the gallery that cannot be encoded.
pub fn page(inputs: &Inputs, view: &View, exhibits: &[Exhibit], plots: &[Plot], drawings: &[String]) -> Result<String> {
    let figures = |section: Section| -> String {
        let of_section = plots.iter().zip(drawings).filter(|(plot, _)| plot.section == section);
        of_section.map(|(plot, drawing)| figure(plot, drawing)).collect()
    };
    let sections = [
        ("summary", "Summary", words::summary(view) + &tables::headline(view) + &figures(Section::Defences)),
        ("side", "Defences side by side", side::section(view, &grid(&figures(Section::Side)))),
        ("apparent", "Gains that are only apparent", tables::apparent(view)),
        ("robustness", "Accuracy under attack, defence by defence", grid(&figures(Section::Robustness))),
        ("certified", "What is certain, and what was broken", grid(&figures(Section::Certified)) + &tables::certified(view)),
        ("heatmaps", "Attacks by defences", grid(&figures(Section::Heatmap))),
        ("gallery", "Gallery", gallery(exhibits)?),
        ("failed", "Failed rows", checks::failed(view)),
        ("checks", "Checks of the evaluation", checks::checks(view)),
        ("worst-case", "Worst case", tables::worst_case(view)),
        ("cells", "All cells", tables::cells(view)),
        ("cost", "Cost", figures(Section::Cost)),
        ("training", "Training", figures(Section::Training)),
        ("defences", "Defences", tables::defences(view)),
        ("threat", "Threat model", words::threat(view)),
        ("reading", "How to read this", words::reading()),
        ("machine", "Devices, versions and time", tables::machine(view)),
        ("suite", "The suite as it ran", format!("<pre tabindex=\"0\"><code>{}</code></pre>", escape(inputs.suite_toml))),
    ];
    let shown: Vec<_> = sections.iter().filter(|(_, _, body)| !body.is_empty()).collect();
    let title = escape(&view.results.suite);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"generator\" content=\"gauntlet {}\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n\
         <p class=\"kicker\">gauntlet · adversarial robustness report</p>\n<h1>{title}</h1>\n{}</header>\n",
        escape(&view.results.version),
        words::opening(view),
    );
    page.push_str(&words::banners(view));
    page.push_str("<nav aria-label=\"Sections\"><ul>");
    for (id, heading, _) in &shown {
        let _ = write!(page, "<li><a href=\"#{id}\">{heading}</a></li>");
    }
    page.push_str("</ul></nav>\n<main>\n");
    for (id, heading, body) in &shown {
        let _ = writeln!(page, "<section id=\"{id}\">\n<h2>{heading}</h2>\n{body}\n</section>");
    }
    let _ = write!(page, "</main>\n<script>\n{}</script>\n</body>\n</html>\n", SCRIPTS.concat());
    Ok(page)
}

fn grid(figures: &str) -> String {
    if figures.is_empty() { String::new() } else { format!("<div class=\"grid\">{figures}</div>") }
}

fn figure(plot: &Plot, drawing: &str) -> String {
    // Inside HTML an SVG needs no namespace.
    let drawing = drawing.replacen(" xmlns=\"http://www.w3.org/2000/svg\"", "", 1);
    // Never so small that its text cannot be read, nor so large that it fills the screen.
    let (least, most) = (plot.picture.width * 0.55, plot.picture.width * 1.2);
    let at = plot.at.map_or(String::new(), |at| side::at(Some(at)));
    format!(
        "<figure class=\"plot\"{at} style=\"--least:{least:.0}px;--most:{most:.0}px\"><div class=\"scroll\" tabindex=\"0\" role=\"region\" \
         aria-label=\"{}\">{drawing}</div><figcaption><code>plots/{stem}.svg</code>, <code>.png</code></figcaption></figure>\n",
        escape(&plot.picture.title),
        stem = escape(&plot.stem),
    )
}

/// The gallery as cards, which a narrow screen shows one below the other.
fn gallery(exhibits: &[Exhibit]) -> Result<String> {
    if exhibits.is_empty() {
        return Ok(String::new());
    }
    let mut cards = String::from(
        "<p>Each card: the original, the adversarial example, and their difference multiplied by the factor that stands above it. In differences \
         of grey images white is no change, blue darker, red brighter; in those of colour images middle grey is no change.</p>\n<div class=\"cards\">",
    );
    for exhibit in exhibits {
        let specimen = exhibit.specimen;
        let _ = write!(
            cards,
            "<figure class=\"card\"><figcaption><strong>{}</strong><br>{}</figcaption><div class=\"images\">",
            escape(&specimen.series.defence),
            escape(&exhibit.source()),
        );
        for (image, caption) in exhibit.images.iter().zip(exhibit.captions()) {
            let uri = render::data_uri(image)?;
            let _ = write!(
                cards,
                "<div><span>{caption}</span><img src=\"{uri}\" width=\"{}\" height=\"{}\" alt=\"example {}, {caption}\"></div>",
                image.width(),
                image.height(),
                specimen.example,
            );
        }
        let _ = writeln!(
            cards,
            "</div><p class=\"decision\">label <b>{}</b> → prediction <b>{}</b> <span>example {}</span></p></figure>",
            specimen.label, specimen.prediction, specimen.example
        );
    }
    Ok(cards + "</div>")
}
