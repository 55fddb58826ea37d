//! The known name that a misspelt one most likely meant.

/// The known name nearest to `name`: at most a third of its letters apart (one at least), else one that contains it or is contained
/// in it; `None` where nothing is near. Case, `_` and `-` do not count.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const SHORTEST_PART: usize = 3;
    let name = plain(name);
    let letters = name.chars().count();
    let mut closest: Option<(usize, &'a str)> = None;
    let mut part = None;
    for candidate in known {
        let text = plain(candidate);
        let distance = strsim::damerau_levenshtein(&name, &text);
        let length = text.chars().count();
        if distance <= (letters.max(length) / 3).max(1) && distance < letters && closest.is_none_or(|(best, _)| distance < best) {
            closest = Some((distance, candidate));
        }
        let (short, long) = if letters < length { (&name, &text) } else { (&text, &name) };
        if part.is_none() && short.chars().count() >= SHORTEST_PART && long.contains(short.as_str()) {
            part = Some(candidate);
        }
    }
    closest.map(|(_, candidate)| candidate).or(part)
}

fn plain(name: &str) -> String {
    name.to_lowercase().replace('_', "-")
}
