//! Lines and columns of offsets.

use crate::estate::Place;

const STEP: usize = 1024;

/// Finds the line of any offset by counting from the nearest mark.
pub(crate) struct Lines<'t> {
    text: &'t [u8],
    /// Line breaks before each multiple of [`STEP`].
    marks: Vec<u32>,
}

impl<'t> Lines<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        let text = text.as_bytes();
        let mut marks = Vec::with_capacity(text.len() / STEP + 1);
        let mut count = 0u32;
        for chunk in text.chunks(STEP) {
            marks.push(count);
            count += breaks(chunk);
        }
        Self { text, marks }
    }

    /// The line of an offset, from 1.
    pub(crate) fn line(&self, offset: usize) -> u32 {
        let offset = offset.min(self.text.len());
        let mark = (offset / STEP).min(self.marks.len().saturating_sub(1));
        let before = self.marks.get(mark).copied().unwrap_or_default();
        before + breaks(&self.text[mark * STEP..offset]) + 1
    }

    /// Line and column of an offset.
    pub(crate) fn place(&self, offset: usize) -> Place {
        let offset = offset.min(self.text.len());
        let start = memchr::memrchr(b'\n', &self.text[..offset]).map_or(0, |at| at + 1);
        let column = u32::try_from(offset - start).unwrap_or(u32::MAX).saturating_add(1);
        Place { line: self.line(offset), column }
    }
}

fn breaks(bytes: &[u8]) -> u32 {
    u32::try_from(memchr::memchr_iter(b'\n', bytes).count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_across_marks() {
        let text = "ab\n".repeat(2000);
        let lines = Lines::new(&text);
        for line in [0usize, 1, 341, 342, 1500, 1999] {
            let place = lines.place(line * 3 + 1);
            assert_eq!((place.line as usize, place.column), (line + 1, 2));
        }
        assert_eq!(lines.line(usize::MAX), 2001);
        assert_eq!(Lines::new("").place(0), Place { line: 1, column: 1 });
    }
}
