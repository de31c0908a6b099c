/* Bodies that come, and go, in pieces. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "server.h"

static struct cofre_call call;

static int begin(void **state)
{
    (void)state;
    call_begin(&call);
    return 0;
}

static int end(void **state)
{
    (void)state;
    call_end(&call);
    return 0;
}

#define BODY_LENGTH 1000003u

static unsigned char body_at(size_t i)
{
    return (unsigned char)(i * 2654435761u >> 13);
}

/* The whole of a body, with or without its end. */
static void write_body(int fd, bool chunked, bool whole)
{
    char *body = malloc(BODY_LENGTH), head[200];
    assert_non_null(body);
    for (size_t i = 0; i < BODY_LENGTH; i++)
        body[i] = (char)body_at(i);
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\n%s\r\n\r\n",
             chunked ? "Transfer-Encoding: chunked" : "Content-Length: 1000003");
    server_write(fd, head, strlen(head));
    size_t last = whole ? BODY_LENGTH : BODY_LENGTH - 1;
    for (size_t at = 0, n; at < last; at += n) {
        n = chunked ? 1 + at % 60000 : last;
        n = n < last - at ? n : last - at;
        if (chunked)
            server_write(fd, head, (size_t)snprintf(head, sizeof head, "%zx\r\n", n));
        server_write(fd, body + at, n);
        if (chunked)
            server_write(fd, "\r\n", 2);
    }
    if (chunked && whole)
        server_write(fd, "0\r\n\r\n", 5);
    free(body);
}

static void give_chunked(int fd, void *context)
{
    write_body(fd, true, *(const bool *)context);
}

static void give_counted(int fd, void *context)
{
    write_body(fd, false, *(const bool *)context);
}

static const struct daemon_request get = {.method = "GET", .path = "/x", .what = "read 'x'"};

/* Read all, in rooms of so many bytes; the class with which that ended, and how much came, as it should be. */
static int32_t read_all(struct daemon *daemon, size_t room, size_t *total, struct cofre_error *error)
{
    struct daemon_stream *stream;
    char *bytes = malloc(room);
    assert_non_null(bytes);
    *total = 0;
    int32_t class = daemon_stream_open(daemon, &call, &get, &stream, error);
    for (size_t got = 1; class == COFRE_OK && got > 0;) {
        class = daemon_stream_read(stream, bytes, room, &got, error);
        for (size_t i = 0; class == COFRE_OK && i < got; i++)
            if ((unsigned char)bytes[i] != body_at((*total)++))
                fail_msg("byte %zu is another", *total - 1);
    }
    daemon_stream_free(stream);
    free(bytes);
    return class;
}

static void test_read(void **state)
{
    (void)state;
    bool yes = true, no = false;
    static const size_t rooms[] = {1009, 16384, 70000, 1 << 20};
    const struct server_rule rules[] = {
        {.begins = "GET /v1.41/x ", .times = 4, .handle = give_chunked, .context = &yes},
        {.begins = "GET /v1.41/x ", .times = 4, .handle = give_counted, .context = &yes},
        {.begins = "GET /v1.41/x ", .times = 1, .handle = give_chunked, .context = &no, .then = SERVER_CLOSE},
        {.begins = "GET /v1.41/x ", .times = 1, .handle = give_counted, .context = &no, .then = SERVER_CLOSE},
        {.begins = NULL}};
    struct cofre_error error = {.struct_size = sizeof error};
    struct server *server = server_start(rules, &call);
    struct daemon *daemon = server_daemon(server, 0);
    size_t total;
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(read_all(daemon, rooms[i % 4], &total, &error), COFRE_OK);
        assert_int_equal(total, BODY_LENGTH);
    }
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(read_all(daemon, 30000, &total, &error), COFRE_E_RETRY);
        assert_true(total < BODY_LENGTH);
        assert_non_null(strstr(error.message, "read 'x': docker at"));
    }
    daemon_close(daemon);
    server_stop(server);
}

static void test_read_refused(void **state)
{
    (void)state;
    const struct server_rule rules[] = {
        {.begins = "GET /v1.41/x ", .times = 1, .answer = server_json(404, "{\"message\":\"no such\"}")},
        {.begins = "GET /v1.41/x ", .times = 1, .answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
        {.begins = "GET /v1.41/x ",
         .times = 1,
         .answer = "HTTP/1.0 200 OK\r\n\r\n\x00",
         .length = 20,
         .then = SERVER_CLOSE},
        {.begins = NULL}};
    struct cofre_error error = {.struct_size = sizeof error};
    struct server *server = server_start(rules, &call);
    struct daemon *daemon = server_daemon(server, 0);
    size_t total;
    assert_int_equal(read_all(daemon, 100, &total, &error), COFRE_E_NOT_FOUND);
    assert_non_null(strstr(error.message, "no such"));
    assert_int_equal(read_all(daemon, 100, &total, &error), COFRE_OK);
    assert_int_equal(total, 0);
    /* Ended by the end of the connection: nobody knows whether that was all. */
    assert_int_equal(read_all(daemon, 100, &total, &error), COFRE_E_PERMANENT);
    assert_int_equal(total, 1);
    daemon_close(daemon);
    server_stop(server);
}

/* Other requests go on while a stream is read, and one that is not read to its end is abandoned. */
static void test_ask_meanwhile(void **state)
{
    (void)state;
    bool yes = true;
    const struct server_rule rules[] = {{.begins = "GET /v1.41/x ", .handle = give_chunked, .context = &yes},
                                        {.begins = "GET /v1.41/y ", .answer = server_json(200, "{}")},
                                        {.begins = NULL}};
    const struct daemon_request other = {.method = "GET", .path = "/y", .what = "look"};
    struct cofre_error error = {.struct_size = sizeof error};
    struct server *server = server_start(rules, &call);
    struct daemon *daemon = server_daemon(server, 0);
    struct daemon_stream *stream;
    unsigned char bytes[1000];
    size_t got;
    assert_int_equal(daemon_stream_open(daemon, &call, &get, &stream, &error), COFRE_OK);
    assert_int_equal(daemon_stream_read(stream, bytes, sizeof bytes, &got, &error), COFRE_OK);
    assert_true(got > 0 && bytes[0] == body_at(0));
    assert_int_equal(daemon_ask(daemon, &call, &other, NULL, &error), COFRE_OK);
    daemon_stream_free(stream);
    daemon_stream_free(NULL);
    daemon_close(daemon);
    server_stop(server);
}

static void test_read_waits(void **state)
{
    (void)state;
    static const char some[] = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n\x00";
    for (int cancelled = 0; cancelled < 2; cancelled++) {
        const struct server_rule rules[] = {{.begins = "GET /v1.41/x ",
                                             .answer = some,
                                             .length = sizeof some - 1,
                                             .then = cancelled ? SERVER_CANCEL : SERVER_SILENT},
                                            {.begins = NULL}};
        struct cofre_error error = {.struct_size = sizeof error};
        struct server *server = server_start(rules, &call);
        struct daemon *daemon = server_daemon(server, cancelled ? 3600000 : 200);
        size_t total;
        assert_int_equal(read_all(daemon, 100, &total, &error), cancelled ? COFRE_E_CANCELLED : COFRE_E_TIMEOUT);
        daemon_close(daemon);
        server_stop(server);
    }
}

/* ---- sending ---- */

static const struct daemon_request put = {.method = "PUT", .path = "/x", .what = "write 'x'"};

/* Two pieces and the end; what it ended with. */
static int32_t send_some(struct daemon *daemon, struct cofre_error *error)
{
    struct daemon_stream *stream;
    int32_t class = daemon_stream_send(daemon, &call, &put, &stream, error);
    if (class == COFRE_OK)
        class = daemon_stream_write(stream, "one", 3, error);
    if (class == COFRE_OK)
        class = daemon_stream_write(stream, "second", 6, error);
    if (class == COFRE_OK)
        class = daemon_stream_end(stream, error);
    daemon_stream_free(stream);
    return class;
}

static void test_send(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        int status;
        int32_t class;
        const char *says;
    } rows[] = {
        {"", 200, COFRE_OK, ""},
        {"{\"status\":\"1\"}\r\n{\"status\":\"sha256:1\"}\r\n", 200, COFRE_OK, ""},
        {"{\"status\":\"1\"}\r\n{\"errorDetail\":{},\"error\":\"no space\"}\r\n", 200, COFRE_E_PERMANENT, "no space"},
        {"{\"message\":\"unexpected EOF\"}", 500, COFRE_E_PERMANENT, "unexpected EOF"},
        {"{\"message\":\"not there\"}", 404, COFRE_E_NOT_FOUND, "not there"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct server_rule rules[] = {
            {.begins = "PUT /v1.41/x ", .answer = server_json(rows[i].status, "%s", rows[i].answer)}, {.begins = NULL}};
        struct cofre_error error = {.struct_size = sizeof error};
        struct server *server = server_start(rules, &call);
        struct daemon *daemon = server_daemon(server, 0);
        assert_int_equal(send_some(daemon, &error), rows[i].class);
        if (rows[i].class != COFRE_OK)
            assert_non_null(strstr(error.message, rows[i].says));
        const char *sent = server_last(server, "PUT ");
        assert_non_null(strstr(sent, "\r\nContent-Type: application/x-tar\r\n"));
        assert_null(strstr(sent, "Expect"));
        assert_non_null(strstr(sent, "\r\n3\r\none\r\n6\r\nsecond\r\n0\r\n\r\n"));
        assert_int_equal(server_count(server, "PUT "), 1);
        daemon_close(daemon);
        server_stop(server);
    }
}

/* The server of the other tests reads a request whole: this one takes its head, and no more. */
struct deaf {
    int listener, stop[2];
    const char *answer;
    enum server_then then;
};

static void *be_deaf(void *context)
{
    struct deaf *d = context;
    char bytes[4096];
    size_t n = 0;
    int fd = accept(d->listener, NULL, NULL);
    while (!memmem(bytes, n, "\r\n\r\n", 4)) {
        ssize_t got = read(fd, bytes + n, sizeof bytes - n);
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    if (strncmp(bytes, "GET /version", 12) == 0) {
        const char *version = server_json(200, "{\"ApiVersion\":\"1.41\"}");
        server_write(fd, version, strlen(version));
        be_deaf(d);
        close(fd);
        return NULL;
    }
    if (d->answer)
        server_write(fd, d->answer, strlen(d->answer));
    if (d->then == SERVER_CANCEL)
        call_cancel(&call);
    if (d->then != SERVER_CLOSE && read(d->stop[0], bytes, 1) != 0)
        abort();
    /* Closed with bytes unread the connection would be reset, and the answer lost. */
    shutdown(fd, SHUT_WR);
    while (d->then == SERVER_CLOSE && read(fd, bytes, sizeof bytes) > 0)
        continue;
    close(fd);
    return NULL;
}

/* Of send_much, those that were made. */
static size_t writes;
#define WRITES 200u

static int32_t send_much(const char *answer, enum server_then then, int64_t patience, struct cofre_error *error)
{
    static char bytes[1 << 20];
    char directory[] = "/tmp/docker-deaf-XXXXXX", address[140];
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct deaf deaf = {.listener = socket(AF_UNIX, SOCK_STREAM, 0), .answer = answer, .then = then};
    struct daemon *daemon;
    struct daemon_stream *stream;
    pthread_t thread;
    assert_non_null(mkdtemp(directory));
    snprintf(name.sun_path, sizeof name.sun_path, "%s/socket", directory);
    snprintf(address, sizeof address, "unix://%s", name.sun_path);
    assert_int_equal(bind(deaf.listener, (const struct sockaddr *)&name, sizeof name), 0);
    assert_int_equal(listen(deaf.listener, 5), 0);
    assert_int_equal(pipe(deaf.stop), 0);
    assert_int_equal(pthread_create(&thread, NULL, be_deaf, &deaf), 0);
    const struct daemon_options options = {.address = address, .patience = patience};
    assert_int_equal(daemon_open(&options, &daemon, error), COFRE_OK);
    int32_t class = daemon_stream_send(daemon, &call, &put, &stream, error);
    for (writes = 0; class == COFRE_OK && writes < WRITES; writes++)
        class = daemon_stream_write(stream, bytes, sizeof bytes, error);
    if (class == COFRE_OK)
        class = daemon_stream_end(stream, error);
    daemon_stream_free(stream);
    daemon_close(daemon);
    close(deaf.stop[1]);
    pthread_join(thread, NULL);
    close(deaf.stop[0]);
    close(deaf.listener);
    unlink(name.sun_path);
    rmdir(directory);
    return class;
}

/* A daemon that answers before it has heard all, or never. */
static void test_send_refused_early(void **state)
{
    (void)state;
    struct cofre_error error = {.struct_size = sizeof error};
    assert_int_equal(send_much(server_json(404, "{\"message\":\"not there\"}"), SERVER_CLOSE, 0, &error),
                     COFRE_E_NOT_FOUND);
    assert_non_null(strstr(error.message, "not there"));
    /* It was one of them that said so. */
    assert_true(writes < WRITES);
    assert_int_equal(send_much("", SERVER_CLOSE, 0, &error), COFRE_E_RETRY);
    assert_int_equal(send_much(NULL, SERVER_SILENT, 200, &error), COFRE_E_TIMEOUT);
    assert_int_equal(send_much(NULL, SERVER_CANCEL, 3600000, &error), COFRE_E_CANCELLED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_read, begin, end),
        cmocka_unit_test_setup_teardown(test_read_refused, begin, end),
        cmocka_unit_test_setup_teardown(test_ask_meanwhile, begin, end),
        cmocka_unit_test_setup_teardown(test_read_waits, begin, end),
        cmocka_unit_test_setup_teardown(test_send, begin, end),
        cmocka_unit_test_setup_teardown(test_send_refused_early, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
