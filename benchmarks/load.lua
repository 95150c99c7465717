-- One kind of request, again and again: wrk … -s load.lua URL -- KIND TOKEN PREFIX ACCOUNTS
-- Every command has a key of its own that begins with PREFIX. The last line of the output is one JSON object.

local threads = 0
local senders = {}

function setup(thread)
   threads = threads + 1
   thread:set("number", threads)
   senders[threads] = thread
end

local function account()
   return string.format("bench-%d", math.random(accounts))
end

local function command(path, content)
   sent = sent + 1
   headers["Idempotency-Key"] = string.format("%s-%d-%d", prefix, number, sent)
   return wrk.format("POST", path, headers, content)
end

local function movement(id, kind)
   local content = '{"amount":1,"currency":"USD","transactionId":"%s-%d-%d"}'
   return command("/api/accounts/" .. id .. kind, string.format(content, prefix, number, sent))
end

local kinds = {}

function kinds.deposits() return movement(account(), "/deposits") end
function kinds.hot_deposits() return movement("bench-hot", "/deposits") end
function kinds.withdrawals() return movement(account(), "/withdrawals") end
function kinds.balances() return wrk.format("GET", "/api/accounts/" .. account() .. "/balance", reading) end
function kinds.accounts() return wrk.format("GET", "/api/accounts/" .. account(), reading) end
function kinds.bare() return wrk.format("GET", "/bare", reading) end

function kinds.histories()
   return wrk.format("GET", string.format("/api/accounts/bench-%d/history", math.random(20)), reading)
end

function kinds.transfers()
   local content = '{"sourceAccountId":"%s","destinationAccountId":"%s","amount":1,"currency":"USD"}'
   local source = math.random(accounts)
   local destination = (source + math.random(accounts - 1) - 1) % accounts + 1
   return command("/api/transfers", string.format(content, "bench-" .. source, "bench-" .. destination))
end

-- 200 deposits, each with a key of its own by the key of the whole.
function kinds.bulks()
   local one = '{"type":"DepositMoney","accountId":"%s","amount":1,"currency":"USD"}'
   local commands = {}
   for index = 1, 200 do commands[index] = string.format(one, account()) end
   return command("/api/commands", '{"commands":[' .. table.concat(commands, ",") .. ']}')
end

function kinds.mixed()
   local dice = math.random(10)
   if dice <= 5 then return kinds.balances() end
   if dice <= 8 then return kinds.deposits() end
   if dice == 9 then return kinds.withdrawals() end
   return kinds.transfers()
end

function init(arguments)
   kind, token, prefix, accounts = arguments[1], arguments[2], arguments[3], tonumber(arguments[4])
   math.randomseed(number)
   sent = 0
   overloaded = 0
   headers = { ["Content-Type"] = "application/json" }
   reading = {}
   if token ~= "" then
      headers["Authorization"] = "Bearer " .. token
      reading["Authorization"] = headers["Authorization"]
   end
   request = kinds[kind]
end

function request() return "" end

function response(status)
   if status == 503 then overloaded = overloaded + 1 end
end

function done(summary, latency, requests)
   local broken = summary.errors.connect + summary.errors.read + summary.errors.write
   local refused = summary.errors.status
   local without_room = 0
   for _, sender in ipairs(senders) do without_room = without_room + sender:get("overloaded") end
   io.write(string.format(
      '{"requests":%d,"microseconds":%d,"refused":%d,"overloaded":%d,"broken":%d,"timeouts":%d,"p50_us":%d,"p99_us":%d}\n',
      summary.requests, summary.duration, refused, without_room, broken, summary.errors.timeout,
      latency:percentile(50), latency:percentile(99)
   ))
end
