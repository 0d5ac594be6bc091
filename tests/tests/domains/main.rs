//! What each domain promises, on every back end: one suite a domain.

mod alerting;
mod catalog;
mod identity;
mod insights;
mod inventory;
mod journal;
mod mall;
mod market;
mod marketing;
mod ordering;
mod trading;
