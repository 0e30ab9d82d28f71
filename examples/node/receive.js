// A worker that takes what medispatcher signed: WEBHOOK_SECRETS="whsec_…" node receive.js
import express from 'express';
import { Webhook } from 'standardwebhooks';

// While a secret is changed there are two, with a space between them.
const secrets = (process.env.WEBHOOK_SECRETS ?? '').split(/\s+/).filter(Boolean);
// Without this check a secret that is cut off would be a key that anybody can guess.
if (!secrets.length || !secrets.every((secret) => /^whsec_[A-Za-z0-9+/]{32,86}={0,2}$/.test(secret))) {
  console.error('WEBHOOK_SECRETS must hold the secret of the subscription: whsec_ and 24 to 64 bytes in base64');
  process.exit(2);
}
const webhooks = secrets.map((secret) => new Webhook(secret));

// The library takes the body for UTF-8 text. A body of other bytes needs an HMAC of one's own, as in ../python.
function verified(body, headers) {
  return webhooks.some((webhook) => {
    try {
      webhook.verify(body, headers, { jsonParse: false }); // a body need not be JSON
      return true;
    } catch {
      return false;
    }
  });
}

const app = express();
// The signature is that of the bytes, so the body must not be parsed before.
app.post('/', express.raw({ type: () => true, limit: '4mb' }), (request, response) => {
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
  if (!verified(body, request.headers)) {
    response.status(401).send('the signature is wrong');
    return;
  }
  // webhook-id is the same for every attempt: remember it where a repetition would do harm.
  console.log(request.get('medis-topic'), body.toString());
  response.sendStatus(204); // any 2xx: the message is done
});

const server = app.listen(Number(process.env.PORT ?? 8080), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}/`);
});
