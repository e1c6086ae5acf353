//! Published ways by which one identity becomes another, or does harm.
