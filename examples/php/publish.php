<?php
// Publishes a message: php publish.php redis|http TOPIC BODY
// Needs the extensions redis and curl (Debian: php-redis, php-curl).
declare(strict_types=1);

function setting(string $name, string $otherwise): string
{
    return getenv($name) ?: $otherwise;
}

function connect(string $url): Redis
{
    $at = parse_url($url);
    $redis = new Redis();
    $redis->connect($at['host'], $at['port'] ?? 6379, 3.0, null, 0, 3.0); // seconds: to connect, to answer
    $redis->setOption(Redis::OPT_MAX_RETRIES, 0); // a write is not to be repeated behind our back
    if (isset($at['pass'])) {
        $redis->auth(array_values(array_filter([$at['user'] ?? '', rawurldecode($at['pass'])])));
    }
    $redis->select((int) ltrim($at['path'] ?? '/0', '/'));
    return $redis;
}

// With an id a message can be written again: it is delivered once.
function publish(string $topic, string $body, ?string $id = null, string $key = ''): string
{
    $url = setting('REDIS_URL', 'redis://127.0.0.1:6379/0'); // that of the dispatchers
    $id ??= bin2hex(random_bytes(16));
    $fields = ['topic' => $topic, 'body' => $body, 'id' => $id] + ($key === '' ? [] : ['key' => $key]);
    $partition = crc32($key ?: $id) % (int) setting('MEDIS_PARTITIONS', '1'); // as the dispatchers have it
    try {
        $redis = connect($url);
        if ($redis->xAdd("medis:{{$partition}}:incoming", '*', $fields) === false) {
            throw new RedisException($redis->getLastError());
        }
    } catch (RedisException $e) {
        // Redis does not take it, or did not say so. The dispatchers publish it from the recover list.
        fwrite(STDERR, "parked: {$e->getMessage()}\n");
        $fields['time'] = (int) (microtime(true) * 1000);
        $redis = connect(setting('RECOVER_REDIS_URL', $url)); // their MEDIS_RECOVER_REDIS_URL
        if ($redis->rPush('medis:recover:php', json_encode($fields, JSON_THROW_ON_ERROR)) === false) {
            throw new RedisException($redis->getLastError());
        }
    }
    return $id;
}

function publishByHTTP(string $topic, string $body, ?string $id = null): string
{
    $id ??= bin2hex(random_bytes(16));
    $headers = ['Content-Type: application/json', "Idempotency-Key: $id"];
    if ($token = setting('MEDIS_TOKEN', '')) {
        $headers[] = "Authorization: Bearer $token";
    }
    $request = curl_init(setting('MEDIS_URL', 'http://127.0.0.1:5601') . "/api/v1/topics/$topic/messages");
    curl_setopt_array($request, [
        CURLOPT_POSTFIELDS => $body, CURLOPT_HTTPHEADER => $headers, CURLOPT_RETURNTRANSFER => true, CURLOPT_TIMEOUT => 5,
    ]);
    $answer = curl_exec($request);
    if (intdiv((int) curl_getinfo($request, CURLINFO_RESPONSE_CODE), 100) !== 2) {
        throw new RuntimeException(curl_error($request) ?: (string) $answer);
    }
    return $id;
}

if ($argc !== 4 || !in_array($argv[1], ['redis', 'http'], true)) {
    fwrite(STDERR, "usage: php publish.php redis|http TOPIC BODY\n");
    exit(2);
}
[, $way, $topic, $body] = $argv;
echo $way === 'http' ? publishByHTTP($topic, $body) : publish($topic, $body), "\n";
