<?php
// A worker that takes what medispatcher signed: WEBHOOK_SECRETS="whsec_…" php -S 127.0.0.1:8080 receive.php
declare(strict_types=1);

const TOLERANCE = 300; // seconds
const MAX_BODY = 4 << 20;

// While a secret is changed there are two, with a space between them.
function secrets(): array
{
    $secrets = preg_split('/\s+/', getenv('WEBHOOK_SECRETS') ?: '', -1, PREG_SPLIT_NO_EMPTY);
    // Without this check a secret that is cut off would be a key that anybody can guess.
    if (!$secrets || count(preg_grep('~^whsec_[A-Za-z0-9+/]{32,86}={0,2}$~D', $secrets)) !== count($secrets)) {
        file_put_contents('php://stderr', "WEBHOOK_SECRETS must hold the secret of the subscription: whsec_ and 24 to 64 bytes in base64\n");
        http_response_code(500);
        exit('the worker has no secret');
    }
    return $secrets;
}

function verified(string $body): bool
{
    $id = $_SERVER['HTTP_WEBHOOK_ID'] ?? '';
    $timestamp = $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] ?? '';
    if ($id === '' || !ctype_digit($timestamp) || abs(time() - (int) $timestamp) > TOLERANCE) {
        return false;
    }
    foreach (secrets() as $secret) {
        $key = base64_decode(substr($secret, strlen('whsec_')));
        $good = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$timestamp.$body", $key, true));
        foreach (explode(' ', $_SERVER['HTTP_WEBHOOK_SIGNATURE'] ?? '') as $given) {
            if (hash_equals($good, $given)) {
                return true;
            }
        }
    }
    return false;
}

// The bytes as they came: the signature is that of them.
$body = file_get_contents('php://input', false, null, 0, MAX_BODY + 1);
if (strlen($body) > MAX_BODY) {
    http_response_code(413);
    exit('the body is too large');
}
if (!verified($body)) {
    http_response_code(401);
    exit('the signature is wrong');
}
// webhook-id is the same for every attempt: remember it where a repetition would do harm.
file_put_contents('php://stderr', ($_SERVER['HTTP_MEDIS_TOPIC'] ?? '') . " $body\n");
http_response_code(204); // any 2xx: the message is done
