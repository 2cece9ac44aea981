//! Part four: deaths, full disks, lost connections. What was acknowledged is there, and nothing is there by half.

mod child;
mod disk_full;
mod killed;
mod postgresql;
mod proxy;
