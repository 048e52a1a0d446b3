//! Answers mentions.
