//! What the stages work on: the data sets of the benchmark, and a part of their content in memory.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// How much of each data set is held in memory, in bytes.
const HELD: u64 = 256 << 20;
/// Length of the groups that are compressed and sealed, in bytes: as the engine fills them.
const GROUP: usize = 1 << 20;
/// Length of a piece of the image that one thread reads, in bytes.
pub(crate) const EXTENT: usize = 16 << 20;

/// The data sets.
pub(crate) struct Sample {
    /// All directories of A.
    pub(crate) folders: Vec<PathBuf>,
    /// All regular files of A, with their lengths in bytes.
    pub(crate) files: Vec<(PathBuf, u64)>,
    /// Number of everything in A.
    pub(crate) entries: u64,
    /// Length of all files of A together, in bytes.
    pub(crate) bytes: u64,
    /// Content of every nth file of A.
    pub(crate) texts: Vec<Vec<u8>>,
    /// The same, put together into groups.
    pub(crate) text_groups: Vec<Vec<u8>>,
    /// The image B.
    pub(crate) image: File,
    /// Its length in bytes.
    pub(crate) image_bytes: u64,
    /// Pieces from all over the image.
    pub(crate) image_groups: Vec<Vec<u8>>,
}

impl Sample {
    /// Reads the data sets in `data`, as `benches/peers/generate` made them.
    pub(crate) fn read(data: &Path) -> io::Result<Self> {
        let (mut folders, mut files, mut entries) = (vec![data.join("A")], Vec::new(), 0);
        let mut at = 0;
        while let Some(folder) = folders.get(at).cloned() {
            at += 1;
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                let metadata = entry.metadata()?;
                entries += 1;
                if metadata.is_dir() {
                    folders.push(entry.path());
                } else if metadata.is_file() {
                    files.push((entry.path(), metadata.len()));
                }
            }
        }
        let bytes: u64 = files.iter().map(|(_, len)| len).sum();
        let every = usize::try_from(bytes.div_ceil(HELD)).unwrap_or(1).max(1);
        let texts =
            files.iter().step_by(every).map(|(path, _)| fs::read(path)).collect::<io::Result<Vec<_>>>()?;
        let text_groups = grouped(&texts);

        let image = File::open(data.join("B").join("disk.img"))?;
        let image_bytes = image.metadata()?.len();
        let every = image_bytes.div_ceil(HELD).max(1) * GROUP as u64;
        let mut image_groups = Vec::new();
        let mut offset = 0;
        while offset + GROUP as u64 <= image_bytes {
            let mut group = vec![0; GROUP];
            image.read_exact_at(&mut group, offset)?;
            image_groups.push(group);
            offset += every;
        }
        Ok(Self { folders, files, entries, bytes, texts, text_groups, image, image_bytes, image_groups })
    }
}

fn grouped(texts: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut groups = vec![Vec::with_capacity(GROUP)];
    for text in texts {
        if groups.last().is_none_or(|group| group.len() + text.len() > GROUP) {
            groups.push(Vec::with_capacity(GROUP));
        }
        if let Some(group) = groups.last_mut() {
            group.extend_from_slice(text);
        }
    }
    groups
}
