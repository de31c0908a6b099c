#include <curl/curl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/docker/daemon_inside.h"
#include "common/failure.h"

struct daemon_stream {
    struct daemon_transfer transfer;
    bool begun, paused;
    /* reading: where to, and what came beyond that */
    char *to;
    size_t room, got;
    /* reading: kept for the next call. Sending: the answer's body, as far as there is room */
    char *side;
    size_t side_at, side_length;
    /* sending: what is to go */
    const char *from;
    size_t left;
    bool last; /* nothing follows it */
};

/* ---- making ---- */

static struct daemon_stream *stream_new(struct daemon *daemon, struct cofre_call *call)
{
    struct daemon_stream *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->transfer = (struct daemon_transfer){
        .daemon = daemon, .call = call, .multi = curl_multi_init(), .easy = curl_easy_init(), .context = s};
    s->side = malloc(DAEMON_BUFFER);
    if (s->transfer.multi && s->transfer.easy && s->side)
        return s;
    daemon_stream_free(s);
    return NULL;
}

void daemon_stream_free(struct daemon_stream *stream)
{
    if (!stream)
        return;
    if (stream->begun)
        daemon_transfer_end(&stream->transfer);
    if (stream->transfer.easy)
        curl_easy_cleanup(stream->transfer.easy);
    if (stream->transfer.multi)
        curl_multi_cleanup(stream->transfer.multi);
    free(stream->side);
    free(stream);
}

static int32_t begin(struct daemon_stream *s, const struct daemon_request *request, struct cofre_error *error)
{
    int32_t class = daemon_ready(s->transfer.daemon, s->transfer.call, error);
    if (class != COFRE_OK)
        return class;
    s->begun = true;
    class = daemon_transfer_begin(&s->transfer, request, error);
    if (class == COFRE_OK)
        class = daemon_transfer_run(&s->transfer, error);
    if (class == COFRE_OK && s->transfer.done)
        class = daemon_transfer_verdict(&s->transfer, error);
    return class;
}

static int32_t unpause(struct daemon_stream *s, struct cofre_error *error)
{
    s->paused = false;
    if (curl_easy_pause(s->transfer.easy, CURLPAUSE_CONT) == CURLE_OK)
        return COFRE_OK;
    return daemon_refusal_say(s->transfer.daemon, s->transfer.what, error, COFRE_E_RETRY, "libcurl does not go on");
}

/* ---- reading ---- */

static size_t take(struct daemon_transfer *t, const char *p, size_t n)
{
    struct daemon_stream *s = t->context;
    t->enough = true;
    size_t direct = s->room - s->got < n ? s->room - s->got : n;
    if (s->side_at < s->side_length || n - direct > (size_t)DAEMON_BUFFER) {
        s->paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    if (direct > 0)
        memcpy(s->to + s->got, p, direct);
    s->got += direct;
    s->side_at = 0;
    s->side_length = n - direct;
    memcpy(s->side, p + direct, s->side_length);
    return n;
}

int32_t daemon_stream_open(struct daemon *daemon, struct cofre_call *call, const struct daemon_request *request,
                           struct daemon_stream **stream, struct cofre_error *error)
{
    *stream = NULL;
    struct daemon_stream *s = stream_new(daemon, call);
    if (!s)
        return daemon_refusal_say(daemon, request->what, error, COFRE_E_MEMORY, "out of memory");
    s->transfer.take = take;
    int32_t class = begin(s, request, error);
    if (class != COFRE_OK)
        daemon_stream_free(s);
    else
        *stream = s;
    return class;
}

static size_t from_side(struct daemon_stream *s, void *bytes, size_t room)
{
    size_t n = s->side_length - s->side_at < room ? s->side_length - s->side_at : room;
    memcpy(bytes, s->side + s->side_at, n);
    s->side_at += n;
    return n;
}

/* The end of an answer that says nowhere how long it is, is the end of the connection, whatever ended that. */
static int32_t at_end(const struct daemon_stream *s, struct cofre_error *error)
{
    if (s->transfer.bounded)
        return COFRE_OK;
    return daemon_refusal_say(s->transfer.daemon, s->transfer.what, error, COFRE_E_PERMANENT,
                              "its answer does not say where it ends");
}

int32_t daemon_stream_read(struct daemon_stream *stream, void *bytes, size_t room, size_t *got,
                           struct cofre_error *error)
{
    struct daemon_stream *s = stream;
    *got = from_side(s, bytes, room);
    if (*got > 0 || room == 0)
        return COFRE_OK;
    if (s->transfer.done)
        return at_end(s, error);
    s->to = bytes;
    s->room = room;
    s->got = 0;
    int32_t class = s->paused ? unpause(s, error) : COFRE_OK;
    if (class == COFRE_OK && s->got == 0)
        class = daemon_transfer_run(&s->transfer, error);
    *got = s->got;
    s->to = NULL;
    s->room = s->got = 0;
    if (class != COFRE_OK || *got > 0)
        return class;
    if (s->transfer.done)
        return at_end(s, error);
    return daemon_refusal_say(s->transfer.daemon, s->transfer.what, error, COFRE_E_BUG, "libcurl gives nothing");
}

/* ---- sending ---- */

static size_t give(struct daemon_transfer *t, char *p, size_t room)
{
    struct daemon_stream *s = t->context;
    size_t n = s->left < room ? s->left : room;
    if (n == 0 && !s->last) {
        s->paused = true;
        t->enough = true;
        return CURL_READFUNC_PAUSE;
    }
    if (n > 0)
        memcpy(p, s->from, n);
    s->from += n;
    s->left -= n;
    return n;
}

/* What the daemon has to say, of which the last line counts. */
static size_t hear(struct daemon_transfer *t, const char *p, size_t n)
{
    struct daemon_stream *s = t->context;
    size_t room = DAEMON_BUFFER - s->side_length, fits = n < room ? n : room;
    memcpy(s->side + s->side_length, p, fits);
    s->side_length += fits;
    return n;
}

int32_t daemon_stream_send(struct daemon *daemon, struct cofre_call *call, const struct daemon_request *request,
                           struct daemon_stream **stream, struct cofre_error *error)
{
    *stream = NULL;
    struct daemon_stream *s = stream_new(daemon, call);
    if (!s)
        return daemon_refusal_say(daemon, request->what, error, COFRE_E_MEMORY, "out of memory");
    s->transfer.take = hear;
    s->transfer.give = give;
    int32_t class = begin(s, request, error);
    if (class != COFRE_OK)
        daemon_stream_free(s);
    else
        *stream = s;
    return class;
}

/* It has answered before all was sent. */
static int32_t ended_early(const struct daemon_stream *s, struct cofre_error *error)
{
    int32_t class = daemon_transfer_verdict(&s->transfer, error);
    if (class != COFRE_OK)
        return class;
    return daemon_refusal_say(s->transfer.daemon, s->transfer.what, error, COFRE_E_PERMANENT,
                              "it has answered before all was sent");
}

int32_t daemon_stream_write(struct daemon_stream *stream, const void *bytes, size_t length, struct cofre_error *error)
{
    struct daemon_stream *s = stream;
    int32_t class = COFRE_OK;
    s->from = bytes;
    s->left = length;
    while (class == COFRE_OK && s->left > 0 && !s->transfer.done) {
        class = s->paused ? unpause(s, error) : COFRE_OK;
        if (class == COFRE_OK)
            class = daemon_transfer_run(&s->transfer, error);
    }
    if (class == COFRE_OK && s->transfer.done)
        class = ended_early(s, error);
    s->from = NULL;
    s->left = 0;
    return class;
}

/* Some calls answer 200 before they begin, and say in the last line of the body that they failed. */
static int32_t last_line(const struct daemon_stream *s, struct cofre_error *error)
{
    char shown[FAILURE_QUOTE_MAX];
    size_t n = s->side_length;
    int32_t class = COFRE_OK;
    while (n > 0 && strchr("\r\n ", s->side[n - 1]))
        n--;
    const char *newline = n > 0 ? memrchr(s->side, '\n', n) : NULL;
    const char *line = newline ? newline + 1 : s->side;
    json_t *json = json_loadb(line, n - (size_t)(line - s->side), 0, NULL);
    const char *text = json_string_value(json_object_get(json, "error"));
    if (text)
        class = daemon_refusal_say(s->transfer.daemon, s->transfer.what, error, COFRE_E_PERMANENT, "%s",
                                   failure_quote(text, strlen(text), shown));
    json_decref(json);
    return class;
}

int32_t daemon_stream_end(struct daemon_stream *stream, struct cofre_error *error)
{
    struct daemon_stream *s = stream;
    int32_t class = COFRE_OK;
    if (s->transfer.done && !s->last)
        return ended_early(s, error);
    s->last = true;
    while (class == COFRE_OK && !s->transfer.done) {
        class = s->paused ? unpause(s, error) : COFRE_OK;
        if (class == COFRE_OK)
            class = daemon_transfer_run(&s->transfer, error);
    }
    if (class == COFRE_OK)
        class = daemon_transfer_verdict(&s->transfer, error);
    return class == COFRE_OK ? last_line(s, error) : class;
}
