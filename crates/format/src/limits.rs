//! Limits that a reader checks before it allocates `[V-9]`.

/// Largest raw chunk, refs node or meta page, in bytes.
pub const CHUNK_MAX: usize = 16 << 20;
/// Largest group before compression, in bytes: one maximal chunk beside others.
pub const GROUP_RAW_MAX: usize = 17 << 20;
/// Largest group as stored, tag included, in bytes.
pub const GROUP_STORED_MAX: usize = GROUP_RAW_MAX + 64;
/// Most chunks in one group.
pub const GROUP_CHUNKS_MAX: usize = 1 << 16;
/// Most groups in one pack.
pub const PACK_GROUPS_MAX: usize = 1 << 16;
/// Most sealed session keys in one pack.
pub const PACK_KEYS_MAX: usize = 1 << 12;
/// Largest pack, in bytes.
pub const PACK_MAX: usize = 512 << 20;
/// Largest sealed pack directory, in bytes.
pub const PACK_DIRECTORY_MAX: usize = 64 << 20;
/// Largest index segment, in bytes.
pub const SEGMENT_MAX: usize = 256 << 20;
/// Largest document (snapshot header, keyring, epoch, marker), in bytes.
pub const DOCUMENT_MAX: usize = 4 << 20;
/// Longest file name in a tree, in bytes. Linux stops at 255; other systems count in UTF-16 units.
pub const NAME_MAX: usize = 4096;
/// Longest symbolic-link target, in bytes.
pub const LINK_TARGET_MAX: usize = 1 << 16;
/// Most extended attributes of one file.
pub const XATTRS_MAX: usize = 1 << 12;
/// Largest value of one extended attribute, in bytes (Linux: 64 KiB).
pub const XATTR_VALUE_MAX: usize = 1 << 20;
/// Deepest directory nesting that a reader follows.
pub const TREE_DEPTH_MAX: usize = 1 << 14;
