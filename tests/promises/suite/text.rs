//! Texts as editors and people leave them.

use super::{EXAMPLE, mistakes, parsed};

promises! {
    line_ends_and_unicode_do_not_shift_places,
    no_text_makes_the_reader_panic,
}

fn line_ends_and_unicode_do_not_shift_places() {
    let windows = EXAMPLE.replace('\n', "\r\n");
    assert_eq!(parsed(&windows, &[]).expect("CRLF").attacks, parsed(EXAMPLE, &[]).expect("LF").attacks);
    let set = parsed(&windows, &["seed=3"]).expect("CRLF with an override");
    assert_eq!(parsed(&set.text, &[]).expect("the text as it ran"), set);
    let found = mistakes(&parsed(&windows.replace("= 40", "= '\u{1f980}'"), &[]).expect_err("a mistake"));
    assert_eq!((found[0].0, found[0].1.as_str()), (29, "'\u{1f980}'"));
    let named = EXAMPLE.replace("undefended", "schutzlos ☂ 無").replace("title = \"", "title = \"\u{1f980} ");
    assert_eq!(parsed(&named, &["defence.schutzlos ☂ 無.model.seed=2"]).expect("unicode").defences[0].model.seed, 2);
    let unknown = mistakes(&parsed(&named.replace("epochs = 10", "\"ерochs\" = 10"), &[]).expect_err("mistakes"));
    assert_eq!((unknown.len(), unknown[0].1.as_str()), (2, "\"ерochs\""));
}

fn no_text_makes_the_reader_panic() {
    let text = EXAMPLE.replace("buy?", "b\u{fc}y \u{1f980}?").replace("[data]", "[data]\r");
    let mut good = 0;
    for (end, _) in text.char_indices() {
        for overrides in [&[][..], &["seed=1", "attack.pgd.steps=3"][..]] {
            match parsed(&text[..end], overrides) {
                Ok(suite) => {
                    good += 1;
                    assert_eq!(parsed(&suite.text, &[]).expect("what ran can run again"), suite);
                }
                Err(error) => assert!(error.exit_code() == 2 && !format!("{:?}", miette::Report::new(error)).is_empty()),
            }
            // A letter left out shifts everything behind it.
            let rest: String = text[..end].chars().chain(text[end..].chars().skip(1)).collect();
            let _ = parsed(&rest, overrides).map_err(|error| format!("{:?}", miette::Report::new(error)));
        }
    }
    assert!(good > 0, "the loop never met a whole suite");
}
