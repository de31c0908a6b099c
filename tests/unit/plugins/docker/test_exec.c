/* A program in a container: its streams, cut anywhere, and how it ended; with a daemon that plays along, or does not.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/docker/exec.h"
#include "common/docker/exec_frame.h"
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

#define CONTAINER "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
#define UPGRADED "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"

/* ---- frames ---- */

static const char stream[] = "\x01\x00\x00\x00\x00\x00\x00\x05hello"
                             "\x02\x00\x00\x00\x00\x00\x00\x03"
                             "err"
                             "\x01\x00\x00\x00\x00\x00\x00\x00"
                             "\x00\x00\x00\x00\x00\x00\x00\x06 world";
#define STREAM_LENGTH (sizeof stream - 1)

static void test_frames(void **state)
{
    (void)state;
    for (size_t cut = 0; cut <= STREAM_LENGTH; cut++) {
        struct exec_frame frame = {.have = 0};
        char out[2][32] = {"", ""};
        for (size_t at = 0, used; at < STREAM_LENGTH; at += used) {
            struct exec_frame_piece piece;
            size_t n = at < cut ? cut - at : STREAM_LENGTH - at;
            assert_int_equal(exec_frame_next(&frame, (const uint8_t *)stream + at, n, &used, &piece), 0);
            assert_true(used > 0 && used <= n);
            strncat(out[piece.stream], (const char *)piece.bytes, piece.length);
        }
        assert_string_equal(out[EXEC_FRAME_OUTPUT], "hello world");
        assert_string_equal(out[EXEC_FRAME_ERRORS], "err");
        assert_true(exec_frame_is_whole(&frame));
    }
}

static void test_no_frames(void **state)
{
    (void)state;
    static const char *const texts[] = {"OCI runtime exec failed", "\x04\x00\x00\x00\x00\x00\x00\x01",
                                        "\x01\x01\x00\x00\x00\x00\x00\x01", "\x01\x00\x00\x01\x00\x00\x00\x01"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct exec_frame frame = {.have = 0};
        struct exec_frame_piece piece;
        size_t used;
        assert_int_equal(exec_frame_next(&frame, (const uint8_t *)texts[i], 8, &used, &piece), -1);
    }
}

/* ---- a program ---- */

/* What the daemon does with the connection of the program. */
struct play {
    const char *bytes; /* that it writes, in two parts */
    size_t length, cut;
    bool echoes; /* what it hears, in frames, until it hears no more */
};

static void play(int fd, void *context)
{
    const struct play *p = context;
    server_write(fd, UPGRADED, strlen(UPGRADED));
    server_write(fd, p->bytes, p->cut);
    server_write(fd, p->bytes + p->cut, p->length - p->cut);
    char bytes[30000];
    for (ssize_t n; p->echoes && (n = read(fd, bytes, sizeof bytes)) > 0;) {
        uint8_t head[8] = {1, 0, 0, 0, 0, 0, (uint8_t)(n >> 8), (uint8_t)n};
        server_write(fd, head, sizeof head);
        server_write(fd, bytes, (size_t)n);
    }
}

/* Reads the pipes to their ends. */
static void collect(struct exec *exec, char *output, char *errors, size_t room)
{
    char *to[] = {output, errors};
    size_t have[] = {0, 0};
    struct pollfd fds[] = {{.fd = exec_take_output(exec), .events = POLLIN},
                           {.fd = exec_take_errors(exec), .events = POLLIN}};
    assert_int_equal(exec_take_output(exec), -1);
    while (fds[0].fd >= 0 || fds[1].fd >= 0) {
        poll(fds, 2, -1);
        for (size_t i = 0; i < 2; i++) {
            ssize_t n = fds[i].fd >= 0 ? read(fds[i].fd, to[i] + have[i], room - 1 - have[i]) : 0;
            have[i] += n > 0 ? (size_t)n : 0;
            if (fds[i].fd < 0 || (n < 0 && errno == EAGAIN) || n > 0)
                continue;
            close(fds[i].fd);
            fds[i].fd = -1;
        }
    }
    output[have[0]] = errors[have[1]] = '\0';
}

static int32_t wait_for_end(struct exec *exec, bool *ended, int *code, struct cofre_error *error)
{
    struct pollfd fd = {.fd = exec_end_fd(exec), .events = POLLIN};
    poll(&fd, 1, -1);
    return exec_look(exec, ended, code, error);
}

/* The rules of a daemon whose program has process 1, and ends as `ended` says. */
#define RULES(start, ended)                                                                                            \
    {                                                                                                                  \
        {.begins = "POST /v1.41/containers/" CONTAINER "/exec ", .answer = server_json(201, "{\"Id\":\"e1\"}")},       \
            {.begins = "GET /v1.41/exec/e1/json ",                                                                     \
             .times = 1,                                                                                               \
             .answer = server_json(200, "{\"Running\":true,\"ExitCode\":null,\"Pid\":1}")},                            \
            {.begins = "GET /v1.41/exec/e1/json ", .answer = (ended)}, start,                                          \
        {                                                                                                              \
            .begins = NULL                                                                                             \
        }                                                                                                              \
    }
#define PLAYS(p)                                                                                                       \
    {                                                                                                                  \
        .begins = "POST /v1.41/exec/e1/start ", .handle = play, .context = (p), .then = SERVER_CLOSE                   \
    }

static const struct exec_spec both = {
    .container = CONTAINER, .words = DAEMON_WORDS("prog", "a b"), .output = true, .input = false};

struct outcome {
    int32_t class;
    int code;
    char output[64], errors[64];
    struct cofre_error error;
};

static struct outcome run(const struct server_rule *rules, int64_t patience)
{
    struct outcome o = {.code = -1, .error.struct_size = sizeof o.error};
    struct server *server = server_start(rules, &call);
    struct daemon *daemon = server_daemon(server, patience);
    struct exec *exec;
    bool ended = false;
    o.class = exec_start(daemon, &call, &both, &exec, &o.error);
    if (o.class == COFRE_OK) {
        collect(exec, o.output, o.errors, sizeof o.output);
        o.class = wait_for_end(exec, &ended, &o.code, &o.error);
        assert_true(ended == (o.class == COFRE_OK));
    }
    exec_free(exec);
    daemon_close(daemon);
    server_stop(server);
    return o;
}

static const char *ended_with(const char *code)
{
    return server_json(200, "{\"Running\":false,\"ExitCode\":%s,\"Pid\":1}", code);
}

static void test_whole_streams(void **state)
{
    (void)state;
    for (size_t cut = 0; cut <= STREAM_LENGTH; cut++) {
        struct play p = {.bytes = stream, .length = STREAM_LENGTH, .cut = cut};
        const struct server_rule rules[] = RULES(PLAYS(&p), ended_with("3"));
        struct outcome o = run(rules, 0);
        assert_int_equal(o.class, COFRE_OK);
        assert_int_equal(o.code, 3);
        assert_string_equal(o.output, "hello world");
        assert_string_equal(o.errors, "err");
    }
}

static bool is_boundary(size_t length)
{
    return length == 0 || length == 13 || length == 24 || length == 32 || length == STREAM_LENGTH;
}

static void test_cut_streams(void **state)
{
    (void)state;
    for (size_t length = 0; length <= STREAM_LENGTH; length++) {
        struct play p = {.bytes = stream, .length = length};
        const struct server_rule rules[] = RULES(PLAYS(&p), ended_with("0"));
        struct outcome o = run(rules, 0);
        assert_int_equal(o.class, is_boundary(length) ? COFRE_OK : COFRE_E_RETRY);
        if (o.class != COFRE_OK)
            assert_non_null(strstr(o.error.message, "run 'prog' in container 'cccccccccccc': docker at"));
    }
}

/* One that failed has failed: that its output was cut as well is of no interest. */
static void test_cut_and_failed(void **state)
{
    (void)state;
    struct play p = {.bytes = stream, .length = 3};
    const struct server_rule rules[] = RULES(PLAYS(&p), ended_with("1"));
    struct outcome o = run(rules, 0);
    assert_int_equal(o.class, COFRE_OK);
    assert_int_equal(o.code, 1);
}

static void test_strange_streams(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
        int32_t class;
        const char *says;
    } rows[] = {
        {"this is no stream of frames", 27, COFRE_E_INTEGRITY, "no stream of a program"},
        {"\x03\x00\x00\x00\x00\x00\x00\x04oops", 12, COFRE_E_RETRY, "oops"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct play p = {.bytes = rows[i].bytes, .length = rows[i].length};
        const struct server_rule rules[] = RULES(PLAYS(&p), ended_with("0"));
        struct outcome o = run(rules, 0);
        assert_int_equal(o.class, rows[i].class);
        assert_non_null(strstr(o.error.message, rows[i].says));
    }
}

static void test_ends(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *inspect;
        int32_t class;
        int code;
    } rows[] = {
        {200, "{\"Running\":false,\"ExitCode\":0,\"Pid\":1}", COFRE_OK, 0},
        {200, "{\"Running\":false,\"ExitCode\":255,\"Pid\":1}", COFRE_OK, 255},
        {200, "{\"Running\":false,\"ExitCode\":256,\"Pid\":1}", COFRE_E_INTEGRITY, 0},
        {200, "{\"Running\":false,\"ExitCode\":-1,\"Pid\":1}", COFRE_E_INTEGRITY, 0},
        {200, "{\"Running\":false,\"ExitCode\":\"0\",\"Pid\":1}", COFRE_E_INTEGRITY, 0},
        {200, "{\"Running\":\"no\",\"ExitCode\":0,\"Pid\":1}", COFRE_E_INTEGRITY, 0},
        {200, "{\"ExitCode\":0,\"Pid\":1}", COFRE_E_INTEGRITY, 0},
        {200, "{}", COFRE_E_INTEGRITY, 0},
        {200, "[]", COFRE_E_INTEGRITY, 0},
        {200, "", COFRE_E_INTEGRITY, 0},
        {200, "{\"Running\":false,\"ExitCode\":null,\"Pid\":1}", COFRE_E_RETRY, 0},
        {200, "{\"Running\":true,\"ExitCode\":0,\"Pid\":1}", COFRE_E_RETRY, 0},
        {404, "{\"message\":\"No such exec instance\"}", COFRE_E_RETRY, 0},
        {500, "{\"message\":\"oh\"}", COFRE_E_PERMANENT, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct play p = {.bytes = stream, .length = STREAM_LENGTH};
        const struct server_rule rules[] = RULES(PLAYS(&p), server_json(rows[i].status, "%s", rows[i].inspect));
        struct outcome o = run(rules, 300);
        if (o.class != rows[i].class)
            fail_msg("row %zu: class %d, %s", i, o.class, o.error.message);
        if (o.class == COFRE_OK)
            assert_int_equal(o.code, rows[i].code);
        assert_string_equal(o.output, "hello world");
    }
}

/* ---- input ---- */

static void test_input(void **state)
{
    (void)state;
    struct play p = {.bytes = "", .echoes = true};
    const struct server_rule rules[] = RULES(PLAYS(&p), ended_with("0"));
    const struct exec_spec spec = {.container = CONTAINER,
                                   .words = DAEMON_WORDS("cat"),
                                   .output = true,
                                   .input = true,
                                   .user = "u",
                                   .environment = DAEMON_WORDS("A=b")};
    struct cofre_error error = {.struct_size = sizeof error};
    struct server *server = server_start(rules, &call);
    struct daemon *daemon = server_daemon(server, 0);
    struct exec *exec;
    size_t sent = 0, got = 0, total = 3000000;
    bool ended;
    int code;
    assert_int_equal(exec_start(daemon, &call, &spec, &exec, &error), COFRE_OK);
    int input = exec_take_input(exec), output = exec_take_output(exec);
    while (output >= 0) {
        static char bytes[100000];
        struct pollfd fds[] = {{.fd = input, .events = POLLOUT}, {.fd = output, .events = POLLIN}};
        poll(fds, 2, -1);
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (char)((sent + i) * 31 >> 3);
        size_t most = total - sent < sizeof bytes ? total - sent : sizeof bytes;
        ssize_t n = input >= 0 && fds[0].revents ? write(input, bytes, most) : 0;
        sent += n > 0 ? (size_t)n : 0;
        if (input >= 0 && sent == total) {
            close(input);
            input = -1;
        }
        n = read(output, bytes, sizeof bytes);
        for (ssize_t i = 0; i < n; i++, got++)
            if (bytes[i] != (char)(got * 31 >> 3))
                fail_msg("byte %zu is another", got);
        if (n == 0) {
            close(output);
            output = -1;
        }
    }
    assert_int_equal(got, total);
    assert_int_equal(wait_for_end(exec, &ended, &code, &error), COFRE_OK);
    assert_true(ended && code == 0);
    exec_free(exec);
    const char *created = strstr(server_last(server, "POST /v1.41/containers/"), "\r\n\r\n") + 4;
    json_t *asked = json_loads(created, 0, NULL);
    json_t *wanted = json_loads("{\"AttachStdin\":true,\"AttachStdout\":true,\"AttachStderr\":true,\"Tty\":false,"
                                "\"Cmd\":[\"cat\"],\"Env\":[\"A=b\"],\"User\":\"u\"}",
                                0, NULL);
    assert_true(json_equal(asked, wanted));
    json_decref(asked);
    json_decref(wanted);
    const char *start = server_last(server, "POST /v1.41/exec/e1/start ");
    assert_non_null(strstr(start, "\r\nUpgrade: tcp\r\n"));
    assert_non_null(strstr(start, "\r\n\r\n{\"Detach\":false,\"Tty\":false}"));
    daemon_close(daemon);
    server_stop(server);
}

/* A program that takes no input ends, and that is no failure of ours. */
static void test_input_that_nobody_takes(void **state)
{
    (void)state;
    struct play p = {.bytes = stream, .length = STREAM_LENGTH};
    const struct server_rule rules[] = RULES(PLAYS(&p), ended_with("1"));
    const struct exec_spec spec = {
        .container = CONTAINER, .words = DAEMON_WORDS("false"), .output = true, .input = true};
    struct cofre_error error = {.struct_size = sizeof error};
    struct server *server = server_start(rules, &call);
    struct daemon *daemon = server_daemon(server, 0);
    struct exec *exec;
    static char bytes[1 << 16];
    char output[64], errors[64];
    bool ended;
    int code;
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(exec_start(daemon, &call, &spec, &exec, &error), COFRE_OK);
    int input = exec_take_input(exec);
    ssize_t n;
    do {
        struct pollfd fd = {.fd = input, .events = POLLOUT};
        poll(&fd, 1, -1);
        n = write(input, bytes, sizeof bytes);
    } while (n > 0 || errno == EAGAIN);
    assert_int_equal(errno, EPIPE);
    close(input);
    collect(exec, output, errors, sizeof output);
    assert_string_equal(output, "hello world");
    assert_int_equal(wait_for_end(exec, &ended, &code, &error), COFRE_OK);
    assert_true(ended && code == 1);
    exec_free(exec);
    daemon_close(daemon);
    server_stop(server);
}

/* ---- not started ---- */

#define MISSING                                                                                                        \
    "\x01\x00\x00\x00\x00\x00\x00\x27"                                                                                 \
    "exec: \"prog\": executable file not found"

static void test_not_started(void **state)
{
    (void)state;
    struct play missing = {.bytes = MISSING, .length = sizeof MISSING - 1};
    struct play denied = {.bytes = "\x01\x00\x00\x00\x00\x00\x00\x11permission denied", .length = 25};
    struct play silent = {.bytes = ""};
    const struct {
        const char *create, *start;
        struct play *play;
        const char *inspect;
        int32_t class;
        const char *says;
    } rows[] = {
        {server_json(404, "{\"message\":\"No such container\"}"), "", NULL, "", COFRE_E_NOT_FOUND, "No such container"},
        {server_json(409, "{\"message\":\"is not running\"}"), "", NULL, "", COFRE_E_PERMANENT, "is not running"},
        {server_json(201, "{\"Id\":17}"), "", NULL, "", COFRE_E_INTEGRITY, "'Id' of its answer"},
        {server_json(201, "{}"), "", NULL, "", COFRE_E_INTEGRITY, "'Id' of its answer"},
        {NULL, server_json(409, "{\"message\":\"Container is paused\"}"), NULL, "", COFRE_E_PERMANENT, "is paused"},
        {NULL, server_json(404, "{\"message\":\"No such exec\"}"), NULL, "", COFRE_E_NOT_FOUND, "No such exec"},
        {NULL, "HTTP/1.1 500 x\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{\"message\":\"no\"}\r\n0\r\n\r\n", NULL, "",
         COFRE_E_PERMANENT, ": no"},
        {NULL, "HTTP/1.1 503 x\r\n\r\n", NULL, "", COFRE_E_RETRY, "status 503"},
        {NULL, "", NULL, "", COFRE_E_RETRY, "has ended the connection"},
        {NULL, "HTTP/1.1 1", NULL, "", COFRE_E_RETRY, "has ended the connection"},
        {NULL, "garbage\r\n\r\n", NULL, "", COFRE_E_INTEGRITY, "no HTTP"},
        {NULL, NULL, &missing, "{\"Running\":false,\"ExitCode\":126,\"Pid\":0}", COFRE_E_NOT_FOUND,
         "executable file not found"},
        {NULL, NULL, &silent, "{\"Running\":false,\"ExitCode\":127,\"Pid\":0}", COFRE_E_NOT_FOUND, "was not started"},
        {NULL, NULL, &denied, "{\"Running\":false,\"ExitCode\":126,\"Pid\":0}", COFRE_E_PERMANENT, "permission denied"},
        {NULL, NULL, &silent, "{\"Running\":7}", COFRE_E_INTEGRITY, "'Running' of its answer"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct server_rule rules[] = {
            {.begins = "POST /v1.41/containers/",
             .answer = rows[i].create ? rows[i].create : server_json(201, "{\"Id\":\"e1\"}")},
            {.begins = "POST /v1.41/exec/e1/start ",
             .answer = rows[i].start,
             .handle = rows[i].play ? play : NULL,
             .context = rows[i].play,
             .then = SERVER_CLOSE},
            {.begins = "GET /v1.41/exec/e1/json ", .answer = server_json(200, "%s", rows[i].inspect)},
            {.begins = NULL}};
        struct outcome o = run(rules, 0);
        if (o.class != rows[i].class || !strstr(o.error.message, rows[i].says))
            fail_msg("row %zu: class %d, %s", i, o.class, o.error.message);
    }
}

/* ---- waiting, and giving up ---- */

static void test_waits(void **state)
{
    (void)state;
    static const char *const places[] = {"POST /v1.41/containers/", "POST /v1.41/exec/e1/start ",
                                         "GET /v1.41/exec/e1/json "};
    for (size_t i = 0; i < 2 * sizeof places / sizeof places[0]; i++) {
        bool cancelled = i % 2;
        struct play p = {.bytes = ""};
        const struct server_rule rules[] = {
            {.begins = places[i / 2], .then = cancelled ? SERVER_CANCEL : SERVER_SILENT},
            {.begins = "POST /v1.41/containers/", .answer = server_json(201, "{\"Id\":\"e1\"}")},
            {.begins = "POST /v1.41/exec/e1/start ", .handle = play, .context = &p, .then = SERVER_SILENT},
            {.begins = NULL}};
        struct outcome o = run(rules, cancelled ? 3600000 : 200);
        assert_int_equal(o.class, cancelled ? COFRE_E_CANCELLED : COFRE_E_TIMEOUT);
        call_end(&call);
        call_begin(&call);
    }
}

/* Says running, of a process that is none yet: until patience ends, or the call is cancelled. */
static void test_never_started(void **state)
{
    (void)state;
    struct play p = {.bytes = ""};
    for (int cancelled = 0; cancelled < 2; cancelled++) {
        const char *yet = server_json(200, "{\"Running\":true,\"ExitCode\":null,\"Pid\":0}");
        const struct server_rule rules[] = {
            {.begins = "POST /v1.41/containers/", .answer = server_json(201, "{\"Id\":\"e1\"}")},
            {.begins = "POST /v1.41/exec/e1/start ", .handle = play, .context = &p, .then = SERVER_SILENT},
            {.begins = "GET /v1.41/exec/e1/json ", .times = 3, .answer = yet},
            {.begins = "GET /v1.41/exec/e1/json ", .answer = yet, .then = cancelled ? SERVER_CANCEL : SERVER_KEEP},
            {.begins = NULL}};
        struct outcome o = run(rules, cancelled ? 3600000 : 400);
        assert_int_equal(o.class, cancelled ? COFRE_E_CANCELLED : COFRE_E_TIMEOUT);
    }
}

/* While it runs, and nobody reads: giving up takes no answer of anybody. And a process of which the daemon says that it
 * is the program, and which is not the container's, lives on. */
static void test_giving_up(void **state)
{
    (void)state;
    pid_t bystander = fork();
    if (bystander == 0) {
        pause();
        _exit(0);
    }
    struct play p = {.bytes = stream, .length = STREAM_LENGTH};
    const struct server_rule rules[] = {
        {.begins = "POST /v1.41/containers/", .answer = server_json(201, "{\"Id\":\"e1\"}")},
        {.begins = "POST /v1.41/exec/e1/start ", .handle = play, .context = &p, .then = SERVER_SILENT},
        {.begins = "GET /v1.41/exec/e1/json ",
         .answer = server_json(200, "{\"Running\":true,\"ExitCode\":null,\"Pid\":%d}", (int)bystander)},
        {.begins = NULL}};
    struct cofre_error error = {.struct_size = sizeof error};
    struct server *server = server_start(rules, &call);
    struct daemon *daemon = server_daemon(server, 3600000);
    struct exec *exec;
    bool ended;
    int code, status;
    assert_int_equal(exec_start(daemon, &call, &both, &exec, &error), COFRE_OK);
    assert_int_equal(exec_look(exec, &ended, &code, &error), COFRE_OK);
    assert_false(ended);
    exec_free(exec);
    exec_free(NULL);
    assert_int_equal(waitpid(bystander, &status, WNOHANG), 0);
    kill(bystander, SIGKILL);
    assert_int_equal(waitpid(bystander, &status, 0), bystander);
    daemon_close(daemon);
    server_stop(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_no_frames),
        cmocka_unit_test_setup_teardown(test_whole_streams, begin, end),
        cmocka_unit_test_setup_teardown(test_cut_streams, begin, end),
        cmocka_unit_test_setup_teardown(test_cut_and_failed, begin, end),
        cmocka_unit_test_setup_teardown(test_strange_streams, begin, end),
        cmocka_unit_test_setup_teardown(test_ends, begin, end),
        cmocka_unit_test_setup_teardown(test_input, begin, end),
        cmocka_unit_test_setup_teardown(test_input_that_nobody_takes, begin, end),
        cmocka_unit_test_setup_teardown(test_not_started, begin, end),
        cmocka_unit_test_setup_teardown(test_waits, begin, end),
        cmocka_unit_test_setup_teardown(test_never_started, begin, end),
        cmocka_unit_test_setup_teardown(test_giving_up, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
