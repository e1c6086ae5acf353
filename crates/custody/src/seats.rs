//! What each keyholder of a policy wraps: the key itself, or a share of it `[V-4.2]`.

use crate::shares;
use strongroom_format::{Secret32, keyring::PolicyTree};

/// A keyholder's part of a wrapped key.
pub(crate) struct Seat<'p> {
    /// Its label.
    pub(crate) label: &'p str,
    /// What it wraps.
    pub(crate) secret: Secret32,
    /// Whether that is a share.
    pub(crate) is_share: bool,
}

/// Deals a key to the keyholders of a policy that has been checked.
pub(crate) fn deal<'p>(policy: &'p PolicyTree, key: &Secret32) -> Vec<Seat<'p>> {
    let mut seats = Vec::new();
    deal_node(policy, key, false, &mut seats);
    seats
}

fn deal_node<'p>(node: &'p PolicyTree, secret: &Secret32, is_share: bool, seats: &mut Vec<Seat<'p>>) {
    if let PolicyTree::Keyholder(label) = node {
        seats.push(Seat { label, secret: secret.clone(), is_share });
        return;
    }
    let children = node.children();
    if node.needed() == 1 {
        children.iter().for_each(|child| deal_node(child, secret, is_share, seats));
        return;
    }
    // A checked policy has at most 64 keyholders, so neither number is cut.
    let shares = shares::split(secret, node.needed() as u8, children.len() as u8);
    children.iter().zip(&shares).for_each(|(child, share)| deal_node(child, share, true, seats));
}
