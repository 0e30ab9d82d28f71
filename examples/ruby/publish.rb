# frozen_string_literal: true

# Publishes a message: ruby publish.rb redis|http TOPIC BODY
# Needs the gem redis (Debian: ruby-redis).
require 'json'
require 'net/http'
require 'redis'
require 'securerandom'
require 'zlib'

REDIS_URL = ENV.fetch('REDIS_URL', 'redis://127.0.0.1:6379/0') # that of the dispatchers
RECOVER_REDIS_URL = ENV.fetch('RECOVER_REDIS_URL', REDIS_URL) # their MEDIS_RECOVER_REDIS_URL
PARTITIONS = Integer(ENV.fetch('MEDIS_PARTITIONS', '1')) # as the dispatchers have it
MEDIS_URL = ENV.fetch('MEDIS_URL', 'http://127.0.0.1:5601') # of a dispatcher, for HTTP
MEDIS_TOKEN = ENV.fetch('MEDIS_TOKEN', '')

# No attempts to reconnect: a write is not to be repeated behind our back.
def connect(url) = Redis.new(url: url, timeout: 3, reconnect_attempts: 0)

# With an id a message can be written again: it is delivered once.
def publish(topic, body, id: SecureRandom.uuid, key: nil)
  fields = { topic: topic, body: body, id: id, key: key }.compact
  partition = Zlib.crc32(key || id) % PARTITIONS
  connect(REDIS_URL).xadd("medis:{#{partition}}:incoming", fields)
  id
rescue Redis::BaseError => e
  # Redis does not take it, or did not say so. The dispatchers publish it from the recover list.
  warn "parked: #{e.message}"
  item = fields.merge(time: (Time.now.to_f * 1000).to_i).to_json
  connect(RECOVER_REDIS_URL).rpush('medis:recover:ruby', item)
  id
end

def publish_by_http(topic, body, id: SecureRandom.uuid)
  headers = { 'Content-Type' => 'application/json', 'Idempotency-Key' => id }
  headers['Authorization'] = "Bearer #{MEDIS_TOKEN}" unless MEDIS_TOKEN.empty?
  answer = Net::HTTP.post(URI("#{MEDIS_URL}/api/v1/topics/#{topic}/messages"), body, headers)
  raise "#{answer.code} #{answer.body}" unless answer.is_a?(Net::HTTPSuccess)

  id
end

way, topic, body = ARGV
unless ARGV.size == 3 && %w[redis http].include?(way)
  warn 'usage: ruby publish.rb redis|http TOPIC BODY'
  exit 2
end
puts way == 'http' ? publish_by_http(topic, body) : publish(topic, body)
