# frozen_string_literal: true

# A worker that takes what medispatcher signed: WEBHOOK_SECRETS="whsec_…" ruby receive.rb
# Needs the gem webrick (Debian: ruby-webrick). The gem standardwebhooks has the same check as verified?, for one
# secret: StandardWebhooks::Webhook.new(secret).verify(body, headers).
require 'openssl'
require 'webrick'

# While a secret is changed there are two, with a space between them.
SECRETS = ENV.fetch('WEBHOOK_SECRETS', '').split
# Without this check a secret that is cut off would be a key that anybody can guess.
unless SECRETS.any? && SECRETS.all?(%r{\Awhsec_[A-Za-z0-9+/]{32,86}={0,2}\z})
  abort 'WEBHOOK_SECRETS must hold the secret of the subscription: whsec_ and 24 to 64 bytes in base64'
end
KEYS = SECRETS.map { |secret| secret.delete_prefix('whsec_').unpack1('m') }
TOLERANCE = 300 # seconds
MAX_BODY = 4 << 20

def verified?(request, body)
  id = request['webhook-id'].to_s
  timestamp = request['webhook-timestamp'].to_s
  return false if id.empty? || !timestamp.match?(/\A\d+\z/) || (Time.now.to_i - timestamp.to_i).abs > TOLERANCE

  signed = "#{id}.#{timestamp}.".b + body.b
  good = KEYS.map { |key| "v1,#{[OpenSSL::HMAC.digest('SHA256', key, signed)].pack('m0')}" }
  request['webhook-signature'].to_s.split.any? do |given|
    good.any? { |g| OpenSSL.secure_compare(g, given) }
  end
end

server = WEBrick::HTTPServer.new(
  BindAddress: '127.0.0.1', Port: Integer(ENV.fetch('PORT', '8080')), AccessLog: [], Logger: WEBrick::Log.new(nil, 0)
)
server.mount_proc('/') do |request, response|
  raise WEBrick::HTTPStatus::RequestEntityTooLarge if request.content_length.to_i > MAX_BODY

  body = request.body.to_s # the bytes as they came: the signature is that of them
  raise WEBrick::HTTPStatus::Unauthorized, 'the signature is wrong' unless verified?(request, body)

  # webhook-id is the same for every attempt: remember it where a repetition would do harm.
  puts "#{request['medis-topic']} #{body.dup.force_encoding('UTF-8')}"
  response.status = 204 # any 2xx: the message is done
end
$stdout.sync = true
puts "listening on http://127.0.0.1:#{server.listeners.first.addr[1]}/"
%w[INT TERM].each { |signal| trap(signal) { server.shutdown } }
server.start
