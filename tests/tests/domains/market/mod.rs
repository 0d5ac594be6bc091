//! What the market domain promises: ticks are kept once, candles are what an exchange would publish, on every back end.

mod builds;
mod candles;
mod indicators;
mod metrics;
mod model;
mod retention;
mod ticks;
mod trades;
