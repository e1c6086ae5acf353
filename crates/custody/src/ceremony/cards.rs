//! A share as a page to print: SVG with a QR code, the typed form, and words to tell cards apart.

use super::{
    shares::Share,
    transcript::{lines, qr_payload},
};
use bip39::Language;
use fast_qr::{ECL, Mode, QRBuilder};
use std::fmt::Write;
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

/// Longest share that fits on a card, in bytes: a QR code of more modules does not survive a copier.
pub const QR_SHARE_MAX: usize = 1024;
/// Longest text of a person on a card, in characters.
const TEXT_MAX: usize = 60;
/// Words of a share, 11 bits each.
const SHARE_WORDS: usize = 4;
/// Words of a ceremony.
const CEREMONY_WORDS: usize = 3;
/// The border that a QR code must have, in modules.
const QUIET: usize = 4;

/// Why a card was not made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CardError {
    /// The share has too many bytes for a QR code on paper.
    #[error(
        "a share of {len} bytes does not fit on a card, {QR_SHARE_MAX} do: split a key, and seal the rest under it"
    )]
    TooLarge {
        /// Its length.
        len: usize,
    },
    /// A text is too long, or holds what cannot be printed.
    #[error("`{}` cannot stand on a card: at most {TEXT_MAX} characters, none of them a control character", .0.escape_debug())]
    Text(String),
}

/// What people want to read on a card.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CardTexts {
    /// What the key opens, such as the vault's name.
    pub title: String,
    /// Whose card it is.
    pub custodian: String,
    /// When it was made.
    pub date: String,
}

/// Words of the ceremony, the same on every card of it: so that custodians see that their cards belong together.
#[must_use]
pub fn ceremony_words(share: &Share) -> [&'static str; CEREMONY_WORDS] {
    words(blake3::derive_key("strongroom v1 ceremony words", share.ceremony()))
}

/// Words of one share, other ones on each card: to compare a typed share with the paper, or two copies by telephone.
/// They tell nothing of the key: what they are a hash of is random.
#[must_use]
pub fn share_words(share: &Share) -> [&'static str; SHARE_WORDS] {
    words(blake3::derive_key("strongroom v1 share words", &share.encode()))
}

fn words<const N: usize>(hash: [u8; 32]) -> [&'static str; N] {
    let list = Language::English.word_list();
    let mut words = [""; N];
    for (word, pair) in words.iter_mut().zip(hash.chunks_exact(2)) {
        *word = list[usize::from(u16::from_le_bytes([pair[0], pair[1]])) % list.len()];
    }
    words
}

/// The card of a share, an SVG page of A4: secret. What the QR encoder has in memory meanwhile is not wiped, as far
/// as it is its own.
///
/// # Errors
/// [`CardError`].
pub fn card(share: &Share, texts: &CardTexts) -> Result<Zeroizing<String>, CardError> {
    let len = share.encode().len();
    if len > QR_SHARE_MAX {
        return Err(CardError::TooLarge { len });
    }
    for text in [&texts.title, &texts.custodian, &texts.date] {
        if text.chars().count() > TEXT_MAX || text.chars().any(char::is_control) {
            return Err(CardError::Text(text.clone()));
        }
    }
    let (modules, size) = qr(share).ok_or(CardError::TooLarge { len })?;
    // Room for all of it, so that nothing is left behind where a string grew.
    let mut svg = Zeroizing::new(String::with_capacity((16 << 10) + size * size * 16));
    // Writing to a string cannot fail.
    let _ = write_card(&mut svg, share, texts, &modules, size);
    Ok(svg)
}

fn write_card(
    svg: &mut String,
    share: &Share,
    texts: &CardTexts,
    modules: &[bool],
    size: usize,
) -> std::fmt::Result {
    let (index, total, threshold) = (share.index(), share.total(), share.threshold());
    svg.push_str(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"210mm\" height=\"297mm\" viewBox=\"0 0 210 297\">\n\
         <rect width=\"210\" height=\"297\" fill=\"#fff\"/>\n\
         <g font-family=\"sans-serif\" font-size=\"4.5\">\n",
    );
    let mut y = 20.0;
    let mut line = |svg: &mut String, class: &str, text: &str| {
        let (attributes, step) = match class {
            "head" => (" font-size=\"8\" font-weight=\"bold\"", 11.0),
            "strong" => (" font-weight=\"bold\"", 7.0),
            _ => ("", 7.0),
        };
        let done = writeln!(svg, "<text x=\"15\" y=\"{y}\"{attributes}>{}</text>", Escaped(text));
        y += step;
        done
    };
    line(svg, "head", &format!("Strongroom: share {index} of {total}"))?;
    for (name, text) in [("Opens", &texts.title), ("Custodian", &texts.custodian), ("Made", &texts.date)] {
        if !text.is_empty() {
            line(svg, "", &format!("{name}: {text}"))?;
        }
    }
    line(svg, "strong", &format!("Any {threshold} of the {total} shares open the key."))?;
    line(svg, "", &format!("Ceremony: {}", ceremony_words(share).join(" ")))?;
    line(svg, "", &format!("This share: {}", share_words(share).join(" ")))?;
    line(svg, "", "Keep it secret.")?;
    line(svg, "", "Never keep two shares in one place.")?;
    svg.push_str("</g>\n");

    // In units of one module, with the border that readers need.
    let side = size + 2 * QUIET;
    write!(
        svg,
        "<svg x=\"112\" y=\"96\" width=\"86\" height=\"86\" viewBox=\"0 0 {side} {side}\" \
         shape-rendering=\"crispEdges\"><path d=\""
    )?;
    for (row, dark) in modules.chunks(size).enumerate() {
        for (column, _) in dark.iter().enumerate().filter(|(_, dark)| **dark) {
            write!(svg, "M{},{}h1v1h-1z", column + QUIET, row + QUIET)?;
        }
    }
    svg.push_str("\"/></svg>\n<g font-family=\"monospace\" font-size=\"3\" xml:space=\"preserve\">\n");
    for (at, text) in lines(share).iter().enumerate() {
        writeln!(svg, "<text x=\"15\" y=\"{:.1}\">{}</text>", 102.0 + 3.4 * at as f32, text.as_str())?;
    }
    svg.push_str("</g>\n</svg>\n");
    Ok(())
}

/// The modules of the QR code, row by row, and the length of a row.
fn qr(share: &Share) -> Option<(Zeroizing<Vec<bool>>, usize)> {
    let payload = qr_payload(share);
    let mut code = QRBuilder::new(payload.as_bytes()).mode(Mode::Alphanumeric).ecl(ECL::M).build().ok()?;
    let size = code.size;
    let modules = (0..size * size).map(|at| code.data[at].value()).collect();
    code.data.iter_mut().for_each(|module| module.0.zeroize());
    Some((Zeroizing::new(modules), size))
}

/// A text inside an element of XML.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for c in self.0.chars() {
            match c {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ceremony::{read_qr_payload, read_transcript, split};
    use strongroom_format::SystemEntropy;

    fn share(len: usize) -> Share {
        split(&vec![0x5a; len], 2, 3, &mut SystemEntropy).unwrap().remove(1)
    }

    fn texts() -> CardTexts {
        CardTexts {
            title: "main <vault> & co".into(),
            custodian: "custodian 2".into(),
            date: "2026-11-23".into(),
        }
    }

    /// What a camera sees: the modules that the SVG paints, read by another program than the one that made them.
    fn photographed(svg: &str) -> String {
        let after = |text: &str, mark: &str| text.split_once(mark).unwrap().1.to_owned();
        let inner = after(svg, "viewBox=\"0 0 210 297\">");
        let side: usize = after(&inner, "viewBox=\"0 0 ").split(' ').next().unwrap().parse().unwrap();
        let path = after(&inner, "<path d=\"M");
        let dark: std::collections::HashSet<(usize, usize)> = path
            .split('"')
            .next()
            .unwrap()
            .split('M')
            .map(|cell| {
                let (column, rest) = cell.split_once(',').unwrap();
                (column.parse().unwrap(), rest.strip_suffix("h1v1h-1z").unwrap().parse().unwrap())
            })
            .collect();
        const SCALE: usize = 6;
        let mut image = rqrr::PreparedImage::prepare_from_greyscale(side * SCALE, side * SCALE, |x, y| {
            if dark.contains(&(x / SCALE, y / SCALE)) { 0 } else { 255 }
        });
        let grids = image.detect_grids();
        assert_eq!(grids.len(), 1);
        grids[0].decode().unwrap().1
    }

    #[test]
    fn a_card_can_be_scanned_and_typed() {
        for len in [16, 32, 200, 900] {
            let share = share(len);
            let svg = card(&share, &texts()).unwrap();
            let scanned = read_qr_payload(&photographed(&svg)).unwrap();
            assert_eq!(scanned.encode(), share.encode(), "{len}");

            let (_, typed) = svg.split_once("xml:space").unwrap();
            let typed: Vec<&str> =
                typed.split("</text>").filter_map(|line| line.rsplit('>').next()).collect();
            let typed = typed.join("\n");
            assert_eq!(read_transcript(typed.trim()).unwrap().encode(), share.encode(), "{len}");
        }
    }

    #[test]
    fn texts_are_escaped_and_checked() {
        let svg = card(&share(32), &texts()).unwrap();
        assert!(svg.contains("main &lt;vault&gt; &amp; co") && !svg.contains("<vault>"));
        for bad in ["a\u{1b}[0m".to_owned(), "x".repeat(TEXT_MAX + 1)] {
            let texts = CardTexts { custodian: bad.clone(), ..texts() };
            assert_eq!(card(&share(32), &texts).unwrap_err(), CardError::Text(bad));
        }
        assert!(matches!(card(&share(2000), &texts()), Err(CardError::TooLarge { .. })));
    }

    #[test]
    fn words_tell_shares_apart_and_ceremonies_together() {
        let shares = split(&[1; 32], 2, 3, &mut SystemEntropy).unwrap();
        assert_eq!(ceremony_words(&shares[0]), ceremony_words(&shares[2]));
        assert_ne!(share_words(&shares[0]), share_words(&shares[2]));
        assert_ne!(ceremony_words(&shares[0]), ceremony_words(&share(32)));
        // The list that the words are from is the one that everybody has.
        let list = Language::English.word_list();
        assert_eq!((list[0], list[2047]), ("abandon", "zoo"));
    }
}
