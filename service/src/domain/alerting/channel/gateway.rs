use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::Client;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::{Value, json};
use sha2::Sha256;

use super::http::{Secrets, answer};
use super::{Channel, Name, SendError, one_line};
use crate::Error;
use crate::config::alerting as config;
use crate::entity::alerting::alert::Model as Alert;

/// A gateway for short messages: a POST for each number, made of a template.
#[derive(Debug)]
pub(super) struct Sms {
    client: Client,
    settings: config::Sms,
    template: Value,
    secrets: Secrets,
}

impl Sms {
    pub(super) fn new(client: &Client, settings: &config::Sms) -> Result<Self, Error> {
        let mut secrets = Secrets::of(&settings.url);
        if let Some(authorization) = &settings.authorization {
            authorization.expose().split(' ').for_each(|part| secrets.add(part));
        }
        let template = serde_json::from_str(&settings.body);
        let template = template.map_err(|_| Error::Invalid("alerting.channels.sms.body is not JSON".to_owned()))?;
        Ok(Self { client: client.clone(), settings: settings.clone(), template, secrets })
    }
}

/// The document with its texts filled in: what is filled in can never become a part of the document.
fn filled(template: &Value, values: &[(&str, &str)]) -> Value {
    match template {
        Value::String(text) => Value::String(filled_text(text, values)),
        Value::Array(items) => items.iter().map(|item| filled(item, values)).collect(),
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), filled(value, values))).collect(),
        other => other.clone(),
    }
}

/// The text with its placeholders filled in, once: what is filled in is not looked at again.
fn filled_text(text: &str, values: &[(&str, &str)]) -> String {
    let mut rest = text;
    let mut out = String::with_capacity(text.len());
    while let Some(at) = rest.find('{') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        match values.iter().find(|(name, _)| from.starts_with(name)) {
            Some((name, value)) => {
                out.push_str(value);
                rest = &from[name.len()..];
            }
            None => {
                out.push('{');
                rest = &from[1..];
            }
        }
    }
    out + rest
}

#[async_trait::async_trait]
impl Channel for Sms {
    fn name(&self) -> Name {
        Name::Sms
    }

    async fn send(&self, alert: &Alert) -> Result<(), SendError> {
        let (title, id) = (one_line(&alert.title), alert.id.to_string());
        for to in &self.settings.to {
            let values = [
                ("{to}", to.as_str()),
                ("{title}", &title),
                ("{message}", &alert.message),
                ("{severity}", alert.severity.as_str()),
                ("{id}", &id),
            ];
            let body = filled(&self.template, &values);
            let mut request = self.client.post(self.settings.url.expose());
            if let Some(authorization) = &self.settings.authorization {
                request = request.header(AUTHORIZATION, authorization.expose());
            }
            request = match &body {
                Value::Object(fields) if self.settings.form => {
                    let mut form = url::form_urlencoded::Serializer::new(String::new());
                    for (key, value) in fields {
                        form.append_pair(key, &value.as_str().map_or_else(|| value.to_string(), str::to_owned));
                    }
                    request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.finish())
                }
                body => request.json(body),
            };
            let answer = answer(request, &self.secrets).await?;
            if !answer.status.is_success() {
                return Err(answer.error(&self.secrets));
            }
        }
        Ok(())
    }
}

/// A webhook of one's own: the alert as JSON, signed if there is a key.
#[derive(Debug)]
pub(super) struct Webhook {
    client: Client,
    settings: config::Webhook,
    secrets: Secrets,
}

impl Webhook {
    pub(super) fn new(client: &Client, settings: &config::Webhook) -> Self {
        let mut secrets = Secrets::of(&settings.url);
        if let Some(secret) = &settings.secret {
            secrets.add(secret.expose());
        }
        Self { client: client.clone(), settings: settings.clone(), secrets }
    }
}

/// `sha256=` and the HMAC of the body in hexadecimal, as GitHub signs its webhooks.
fn signature(key: &str, body: &[u8]) -> Result<String, SendError> {
    let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes());
    let mut mac = mac.map_err(|_| SendError::refused("the key of the signature cannot be used"))?;
    mac.update(body);
    Ok(format!("sha256={}", data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes())))
}

#[async_trait::async_trait]
impl Channel for Webhook {
    fn name(&self) -> Name {
        Name::Webhook
    }

    async fn send(&self, alert: &Alert) -> Result<(), SendError> {
        let body = json!({
            "id": alert.id,
            "rule_id": alert.rule_id,
            "user_id": alert.user_id,
            "severity": alert.severity,
            "title": alert.title,
            "message": alert.message,
            "metadata": alert.metadata,
            "created_at": alert.created_at,
        });
        let body = body.to_string();
        let mut request = self.client.post(self.settings.url.expose()).header(CONTENT_TYPE, "application/json");
        // The same alert may come twice.
        request = request.header("Idempotency-Key", alert.id.to_string());
        if let Some(secret) = &self.settings.secret {
            request = request.header("X-Stanchion-Signature", signature(secret.expose(), body.as_bytes())?);
        }
        let answer = answer(request.body(body), &self.secrets).await?;
        if answer.status.is_success() { Ok(()) } else { Err(answer.error(&self.secrets)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_in_is_not_a_part_of_the_document() {
        let template = json!({ "to": "{to}", "n": 1, "parts": ["{title}: {message} {unknown} {"] });
        let values = [("{to}", "1\", \"x\": \"2"), ("{title}", "{message}"), ("{message}", "火\n🔥")];
        let expected = json!({ "to": "1\", \"x\": \"2", "n": 1, "parts": ["{message}: 火\n🔥 {unknown} {"] });
        assert_eq!(filled(&template, &values), expected);
    }

    #[test]
    fn a_signature_is_that_of_rfc_4231() {
        let signed = signature("Jefe", b"what do ya want for nothing?").unwrap();
        assert_eq!(signed, "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
}
