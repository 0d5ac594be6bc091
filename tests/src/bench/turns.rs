use std::future::Future;
use std::pin::Pin;

/// One of those that are compared: what it is called, and how it is measured once.
pub struct Entrant<'a> {
    name: String,
    measure: Box<dyn FnMut() -> Measurement<'a> + 'a>,
}

type Measurement<'a> = Pin<Box<dyn Future<Output = anyhow::Result<f64>> + 'a>>;

impl<'a> Entrant<'a> {
    /// An entrant whose every turn is one call of `measure`, which answers with a time or a rate.
    pub fn new<F>(name: impl Into<String>, mut measure: impl FnMut() -> F + 'a) -> Self
    where
        F: Future<Output = anyhow::Result<f64>> + 'a,
    {
        Self { name: name.into(), measure: Box::new(move || Box::pin(measure())) }
    }
}

impl std::fmt::Debug for Entrant<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entrant").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What was measured of one entrant, a value a round.
#[derive(Clone, Debug, PartialEq)]
pub struct Samples {
    /// The entrant.
    pub name: String,
    /// Its values, in the order of the rounds.
    pub values: Vec<f64>,
}

impl Samples {
    /// The median, with the values a quarter and three quarters of the way.
    #[must_use]
    pub fn quartiles(&self) -> [f64; 3] {
        quartiles(self.values.clone())
    }

    /// The quartiles of this entrant's values divided by another's of the same round, so that what disturbed a round
    /// disturbs the ratio as little as it can.
    #[must_use]
    pub fn ratios_to(&self, other: &Self) -> [f64; 3] {
        quartiles(self.values.iter().zip(&other.values).map(|(ours, theirs)| ours / theirs).collect())
    }
}

/// Lets the entrants take turns: a round is one turn of each, and each round begins with another one. A round more than
/// asked for comes first and is not counted: connections are opened in it, statements prepared, caches filled.
///
/// # Errors
/// That of the first measurement that fails.
pub async fn take_turns(rounds: usize, mut entrants: Vec<Entrant<'_>>) -> anyhow::Result<Vec<Samples>> {
    let mut samples: Vec<Samples> =
        entrants.iter().map(|entrant| Samples { name: entrant.name.clone(), values: Vec::new() }).collect();
    for round in 0..=rounds {
        for turn in 0..entrants.len() {
            let at = (round + turn) % entrants.len();
            let value = (entrants[at].measure)().await?;
            if round > 0 {
                samples[at].values.push(value);
            }
        }
    }
    Ok(samples)
}

/// Low quartile, median, high quartile; of an even number of values the lower of the two in the middle.
fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    [last / 4, last / 2, last - last / 4].map(|at| values.get(at).copied().unwrap_or(f64::NAN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_entrant_has_its_turn_in_every_round_and_the_first_round_is_not_counted() {
        let calls = std::cell::Cell::new(0.0);
        let next = || {
            calls.set(calls.get() + 1.0);
            std::future::ready(Ok(calls.get()))
        };
        let samples = take_turns(2, vec![Entrant::new("a", next), Entrant::new("b", next)]).await.unwrap();
        assert_eq!(samples[0].values, [4.0, 5.0]);
        assert_eq!(samples[1].values, [3.0, 6.0]);
    }

    #[test]
    fn a_ratio_is_taken_within_a_round() {
        let samples = |values: &[f64]| Samples { name: String::new(), values: values.to_vec() };
        let ratios = samples(&[1.0, 10.0, 3.0]).ratios_to(&samples(&[2.0, 20.0, 2.0]));
        assert_eq!(ratios, [0.5, 0.5, 1.5]);
    }
}
