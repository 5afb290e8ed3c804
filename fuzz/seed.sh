#!/usr/bin/env bash
# Makes corpora of the fixtures of the tests.
#
# decode   the venue's place in `exchange::ALL`, then a frame
# list     the same, then a page
# session  the same, then steps: all frames of the venue, each followed by a tick
# capture  01 and lines, of a capture of those frames
# config   the configuration that comes with the program
# http, client, journal   what is written out below
set -euo pipefail
cd "$(dirname "$0")"
mkdir -p corpus/{decode,list,session,capture,config,http,client,journal}

byte() { printf '%b' "$(printf '\\x%02x' "$1")"; }

# A length of two bytes, the lower one first, and the file.
piece() {
    local len
    len=$(stat -c %s "$1")
    byte $((len & 255))
    byte $((len >> 8))
    cat "$1"
}

frame=$(mktemp)
trap 'rm -f "$frame"' EXIT

n=0
for exchange in binance bybit okx bitget gateio kucoin mexc bingx; do
    for market in spot perp; do
        name="$exchange-$market"
        session="corpus/session/$name"
        capture="corpus/capture/$name"
        byte "$n" > "$session"
        of="\"feed\":\"f\",\"exchange\":\"$exchange\",\"market\":\"$market\",\"conn\":1,\"ts_recv\""
        byte 5 > "$capture"
        echo '{"capture":1,"run":"r"}' >> "$capture"
        echo "{$of:1,\"mark\":\"fresh\"}" >> "$capture"
        symbols="BTCUSDT BTC-USDT BTC_USDT XBTUSDTM ETHUSDT ETH-USDT ETH_USDT ETHUSDTM"
        listed=$(for it in $symbols; do
            printf '{"symbol":"A-B","symbol_native":"%s","contract_size":0.01},' "$it"
        done)
        echo "{$of:2,\"channels\":[\"quotes\",\"trades\"],\"instruments\":[${listed%,}]}" >> "$capture"
        i=0
        for file in "../tests/fixtures/$name"/*; do
            at="$name-$(basename "$file")"
            if [[ $file == *.json ]]; then
                { byte "$n"; cat "$file"; } > "corpus/list/$at"
                continue
            fi
            while IFS= read -r line; do
                i=$((i + 1))
                if [[ $file == *.b64 ]]; then
                    printf '%s' "$line" | base64 -d > "$frame"
                    kind=1
                    printf '{%s:%s,"raw_b64":"%s"}\n' "$of" "$i" "$line" >> "$capture"
                else
                    printf '%s' "$line" > "$frame"
                    kind=0
                    text=$(printf '%s' "$line" | sed 's/\\/\\\\/g; s/"/\\"/g')
                    printf '{%s:%s,"raw":"%s"}\n' "$of" "$i" "$text" >> "$capture"
                fi
                { byte "$n"; cat "$frame"; } > "corpus/decode/$at-$i"
                { byte "$kind"; piece "$frame"; printf '\x03\x01'; } >> "$session"
            done < "$file"
        done
        # A minute and a half in silence, another assignment, all that once more.
        printf '\x03\x14\x05\x01\0\0\0\0\0\0\0\x03\xa0\x04\x05\xff\xff\xff\xff\xff\xff\xff\xff' >> "$session"
        for mark in overlap calm over; do echo "{$of:$i,\"mark\":\"$mark\"}" >> "$capture"; done
        echo "{$of:$i,\"lost\":3}" >> "$capture"
        n=$((n + 1))
    done
done
printf '\x0a{"code":"200000","data":{"token":"t","instanceServers":[{"endpoint":"wss://a/b","encrypt":true}]}}' \
    > corpus/list/kucoin-address

cp ../config.toml corpus/config/

i=0
for target in / /ws /healthz /metrics /app.js '/api/v1/instruments?limit=1&exchange=binance' \
    '/api/v1/quotes?symbol=BTC-USDT' '/api/v1/quotes?symbol=A%26B-USDT&market=spot' \
    '/api/v1/spreads?limit=1000' '/api/v1/history?symbol=BTC-USDT&exchange=binance' \
    '/api/v1/history?symbol=BTC-USDT&buy=binance&sell=okx&market=spot' 'http://a/b?c=d&token=x'; do
    for method in GET HEAD POST; do
        i=$((i + 1))
        printf '%s %s HTTP/1.1\r\nHost: localhost:8080\r\nOrigin: https://dash.example.com\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer x\r\n\r\nrest' \
            "$method" "$target" > "corpus/http/$i"
    done
done

# Of the first client, a text (81), a piece of one (01) or a control frame (88, 89, 8a).
said() { byte "$1"; printf '%b' "$2"; printf '%s' "$3" > "$frame"; piece "$frame"; }
i=0
for op in subscribe unsubscribe; do
    for channel in quotes trades spreads screener; do
        for rest in '' ',"symbols":["A-B","C-D"]' ',"symbols":["*"],"exchanges":["binance"],"interval_ms":1' \
            ',"symbols":["A-B"],"market":"spot","exchanges":["okx","binance"],"interval_ms":60000'; do
            i=$((i + 1))
            {
                said 0 '\x81' "{\"op\":\"subscribe\",\"channel\":\"$channel\"}"
                said 1 '\x81' '{"op":"subscribe","channel":"quotes","symbols":["A-B"]}'
                said 0 '\x81' "{\"op\":\"$op\",\"channel\":\"$channel\"$rest}"
                said 0 '\x89' 'ping'
                said 1 '\x01' '{"op":"unsubscribe",'
                said 1 '\x8a' ''
                said 1 '\x80' '"channel":"quotes"}'
                printf '\x01\x88\x02\0\x03\xe8'
            } > "corpus/client/$i"
        done
    done
done

# Each journal as it is; cut, flipped, put together; under other names; with a lock.
for which in 0 1 2 3 4 5; do
    for sealed in 0 4; do
        at="corpus/journal/$which-$sealed"
        { byte $which; byte $sealed; } > "$at"
        { cat "$at"; printf '\x01\x40\x02'; } > "$at-cut"
        { cat "$at"; printf '\0\x90\x01\x07'; } > "$at-flipped"
        { cat "$at"; printf '\x02\x30\0\x03\0abc'; } > "$at-put"
        { cat "$at"; printf '\x03\0\0\xff\xff'; } > "$at-again"
        { byte $which; byte $((sealed | 3)); printf 'quotes-okx-2026-11-23-0-1' > "$frame"; piece "$frame"
          printf 'okx spot\nbinance perp\n' > "$frame"; piece "$frame"; } > "$at-named"
    done
done
for it in corpus/*; do echo "$(find "$it" -type f | wc -l) inputs for $(basename "$it")"; done
