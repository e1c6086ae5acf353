//! Key files: a text file with one key, readable by its owner only.
//!
//! Lines that start with `#` are comments; exactly one other line holds `STRONGROOM-KEY-1-` and, in base32
//! (RFC 4648, without padding), the 32 bytes of the key and a 4-byte checksum against slips of the pen.

use crate::holder::HolderError;
use data_encoding::BASE32_NOPAD;
use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    path::Path,
};
use strongroom_format::Secret32;
use zeroize::Zeroizing;

const PREFIX: &str = "STRONGROOM-KEY-1-";
const CHECKSUM_LEN: usize = 4;
/// Largest key file that is read, in bytes.
const FILE_MAX: u64 = 64 << 10;

fn checksum(key: &Secret32) -> [u8; CHECKSUM_LEN] {
    let hash = blake3::derive_key("strongroom v1 key file checksum", key.expose());
    [hash[0], hash[1], hash[2], hash[3]]
}

fn encode(key: &Secret32, label: &str) -> Zeroizing<String> {
    let mut bytes = Zeroizing::new([0; 32 + CHECKSUM_LEN]);
    bytes[..32].copy_from_slice(key.expose());
    bytes[32..].copy_from_slice(&checksum(key));
    let mut text = Zeroizing::new(String::with_capacity(512));
    text.push_str("# Strongroom key file of keyholder `");
    text.push_str(label);
    text.push_str(
        "`.\n# Whoever has this file can open what the keyholder protects. Keep a copy elsewhere.\n",
    );
    text.push_str(PREFIX);
    let mut encoded = Zeroizing::new([0; 58]);
    BASE32_NOPAD.encode_mut(bytes.as_slice(), encoded.as_mut_slice());
    text.extend(encoded.iter().map(|byte| char::from(*byte)));
    text.push('\n');
    text
}

/// Reads the key in the text of a key file; upper and lower case are the same.
fn decode(text: &str) -> Result<Secret32, &'static str> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let line = lines.next().ok_or("it holds no key")?;
    if lines.next().is_some() {
        return Err("it holds more than one line that is no comment");
    }
    let upper = Zeroizing::new(line.to_ascii_uppercase());
    let encoded = upper.strip_prefix(PREFIX).ok_or("its key does not start with STRONGROOM-KEY-1-")?;
    let bytes = BASE32_NOPAD.decode(encoded.as_bytes()).map_err(|_| "its key is no base32")?;
    let bytes = Zeroizing::new(bytes);
    let (key, sum) = bytes.split_at_checked(32).ok_or("its key is cut short")?;
    let key = Secret32::from_slice(key).ok_or("its key is cut short")?;
    if sum != checksum(&key) {
        return Err("its checksum does not match: the key was mistyped or damaged");
    }
    Ok(key)
}

/// Writes `key` to a new file that only its owner can read, and makes it durable.
///
/// # Errors
/// [`HolderError::Io`], also where `path` exists already: a key is never overwritten.
pub fn create(path: &Path, label: &str, key: &Secret32) -> Result<(), HolderError> {
    let failed = |error| HolderError::io(format!("cannot create key file `{}`", path.display()), error);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(failed)?;
    let written = file.write_all(encode(key, label).as_bytes()).and_then(|()| file.sync_all());
    if let Err(error) = written.and_then(|()| sync_folder(path)) {
        // Half a key file helps nobody; that it could not be written is what matters.
        let _ = std::fs::remove_file(path);
        return Err(failed(error));
    }
    Ok(())
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    if cfg!(unix) {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

/// Reads a key file.
///
/// # Errors
/// [`HolderError::NoSecret`] where there is no file, [`HolderError::Exposed`] where others can read it,
/// [`HolderError::Malformed`] or [`HolderError::Io`].
pub fn read(path: &Path) -> Result<Secret32, HolderError> {
    let bytes = read_private(path)?;
    let malformed = |what: &str| HolderError::Malformed(format!("key file `{}`: {what}", path.display()));
    let text = std::str::from_utf8(&bytes).map_err(|_| malformed("it is no text"))?;
    decode(text).map_err(malformed)
}

/// Reads a file that holds a secret of any form: not too large, and readable by its owner only.
pub(super) fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, HolderError> {
    let shown = path.display();
    let failed = |error| HolderError::io(format!("cannot read key file `{shown}`"), error);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(HolderError::NoSecret(format!("there is no key file `{shown}`")));
        }
        Err(error) => return Err(failed(error)),
    };
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(HolderError::Malformed(format!("`{shown}` is a folder, not a key file")));
    }
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::MetadataExt::mode(&metadata) & 0o7777;
        if mode & 0o077 != 0 {
            return Err(HolderError::Exposed { path: path.to_owned(), mode });
        }
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    file.take(FILE_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(HolderError::Malformed(format!("key file `{shown}`: it is too large")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use strongroom_format::SystemEntropy;

    #[test]
    fn text_round_trip() {
        let key = Secret32::random(&mut SystemEntropy);
        let text = encode(&key, "office");
        assert_eq!(decode(&text).unwrap().expose(), key.expose());
        assert_eq!(decode(&text.to_ascii_lowercase()).unwrap().expose(), key.expose());
        assert_eq!(decode(&text.replace('\n', "\r\n")).unwrap().expose(), key.expose());
    }

    #[test]
    fn every_slip_of_the_pen_is_noticed() {
        let text = encode(&Secret32::new([9; 32]), "office");
        let start = text.find(PREFIX).unwrap();
        for i in start..text.len() - 1 {
            let mut bytes = text.as_bytes().to_vec();
            bytes[i] = if bytes[i] == b'A' { b'B' } else { b'A' };
            assert!(decode(std::str::from_utf8(&bytes).unwrap()).is_err(), "character {i}");
            bytes.remove(i);
            assert!(decode(std::str::from_utf8(&bytes).unwrap()).is_err(), "without character {i}");
        }
        assert!(decode("").is_err());
        assert!(decode(&format!("{}{}", *text, *text)).is_err());
    }
}
