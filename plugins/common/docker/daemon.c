#include "common/docker/daemon.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "common/docker/daemon_inside.h"
#include "common/docker/member.h"
#include "common/failure.h"

/* Of the API 1.x. What is newer than 1.41 keeps to it as far as the daemon says so itself, by its minimum; 1.25 (2017)
 * is the first in which a program that is started in a container can be given an environment. */
#define API_WANTED 41
#define API_OLDEST 25

/* ---- open and close ---- */

static int32_t make(const struct daemon_address *address, struct daemon **daemon, struct cofre_error *error)
{
    char shown[FAILURE_QUOTE_MAX];
    struct daemon *d = calloc(1, sizeof *d);
    *daemon = NULL;
    if (!d || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(d);
        return cofre_fail(error, COFRE_E_MEMORY, "libcurl cannot be started");
    }
    d->address = *address;
    snprintf(d->name, sizeof d->name, "docker at '%s'", failure_quote(address->text, strlen(address->text), shown));
    d->stop = -1;
    d->patience = DAEMON_PATIENCE;
    d->multi = curl_multi_init();
    d->easy = curl_easy_init();
    if (!d->multi || !d->easy) {
        daemon_close(d);
        return cofre_fail(error, COFRE_E_MEMORY, "libcurl cannot be started");
    }
    *daemon = d;
    return COFRE_OK;
}

int32_t daemon_open(const struct daemon_options *options, struct daemon **daemon, struct cofre_error *error)
{
    struct daemon_address address;
    *daemon = NULL;
    int32_t class = daemon_address_read(options, &address, error);
    if (class == COFRE_OK)
        class = make(&address, daemon, error);
    if (class == COFRE_OK && options->patience > 0)
        (*daemon)->patience = options->patience;
    return class;
}

int32_t daemon_again(const struct daemon *daemon, int stop, struct daemon **copy, struct cofre_error *error)
{
    int32_t class = make(&daemon->address, copy, error);
    if (class != COFRE_OK)
        return class;
    (*copy)->patience = daemon->patience;
    (*copy)->stop = stop;
    memcpy((*copy)->api, daemon->api, sizeof daemon->api);
    return COFRE_OK;
}

void daemon_close(struct daemon *daemon)
{
    if (!daemon)
        return;
    if (daemon->easy)
        curl_easy_cleanup(daemon->easy);
    if (daemon->multi)
        curl_multi_cleanup(daemon->multi);
    free(daemon);
    curl_global_cleanup();
}

const char *daemon_name(const struct daemon *daemon)
{
    return daemon->name;
}

bool daemon_is_local(const struct daemon *daemon)
{
    return daemon->address.path[0] != '\0';
}

/* ---- one request ---- */

struct answer {
    char *p;
    size_t n, room;
};

static size_t collect(struct daemon_transfer *t, const char *p, size_t n)
{
    struct answer *a = t->context;
    if (n > DAEMON_ANSWER_MAX - a->n) {
        t->result = daemon_refusal_say(t->daemon, t->what, t->error, COFRE_E_PERMANENT,
                                       "its answer is larger than %u MiB", DAEMON_ANSWER_MAX >> 20);
        return 0;
    }
    if (a->n + n > a->room) {
        size_t room = 2 * (a->n + n);
        char *grown = realloc(a->p, room);
        if (!grown) {
            t->result = daemon_refusal_say(t->daemon, t->what, t->error, COFRE_E_MEMORY, "out of memory");
            return 0;
        }
        a->p = grown;
        a->room = room;
    }
    memcpy(a->p + a->n, p, n);
    a->n += n;
    return n;
}

static int32_t parse(const struct daemon_transfer *t, const struct answer *a, json_t **answer,
                     struct cofre_error *error)
{
    char shown[FAILURE_QUOTE_MAX];
    json_error_t wrong;
    if (a->n == 0)
        return COFRE_OK;
    *answer = json_loadb(a->p, a->n, 0, &wrong);
    if (*answer)
        return COFRE_OK;
    daemon_refusal_say(t->daemon, t->what, error, COFRE_E_PERMANENT, "its answer is no JSON: %.100s",
                       failure_quote(wrong.text, strlen(wrong.text), shown));
    cofre_hint(error, "is that a Docker daemon?");
    return COFRE_E_PERMANENT;
}

static int32_t ask_once(struct daemon *daemon, struct cofre_call *call, const struct daemon_request *request,
                        json_t **answer, struct cofre_error *error)
{
    struct answer text = {.p = NULL};
    struct daemon_transfer t = {.daemon = daemon,
                                .call = call,
                                .multi = daemon->multi,
                                .easy = daemon->easy,
                                .take = collect,
                                .context = &text};
    int32_t class = daemon_transfer_begin(&t, request, error);
    if (class == COFRE_OK)
        class = daemon_transfer_run(&t, error);
    if (class == COFRE_OK)
        class = daemon_transfer_verdict(&t, error);
    if (class == COFRE_OK && answer)
        class = parse(&t, &text, answer, error);
    daemon_transfer_end(&t);
    free(text.p);
    return class;
}

int32_t daemon_ask(struct daemon *daemon, struct cofre_call *call, const struct daemon_request *request,
                   json_t **answer, struct cofre_error *error)
{
    if (answer)
        *answer = NULL;
    int32_t class = daemon_ready(daemon, call, error);
    return class == COFRE_OK ? ask_once(daemon, call, request, answer, error) : class;
}

/* ---- who answers ---- */

/* The x of "1.x"; -1 = it is no such version. */
static long minor_of(const char *api)
{
    char *end;
    if (strncmp(api, "1.", 2) != 0 || api[2] < '0' || api[2] > '9')
        return -1;
    long minor = strtol(api + 2, &end, 10);
    return *end == '\0' && minor < 10000 ? minor : -1;
}

static int32_t choose(struct daemon *daemon, const struct daemon_about *about, struct cofre_error *error)
{
    long most = minor_of(about->api), least = about->minimum_api[0] ? minor_of(about->minimum_api) : 0;
    if (most < 0 || least < 0 || least > most)
        return daemon_refusal_say(daemon, "look at the daemon", error, COFRE_E_UNSUPPORTED,
                                  "it says that it speaks the API '%s' from '%s' on, which is not known here",
                                  about->api, about->minimum_api);
    if (most < API_OLDEST) {
        daemon_refusal_say(daemon, "look at the daemon", error, COFRE_E_UNSUPPORTED,
                           "version %s is too old: it speaks the API 1.%ld, and 1.%d is needed", about->version, most,
                           API_OLDEST);
        cofre_hint(error, "use Docker 1.13 or later, or Podman 3 or later");
        return COFRE_E_UNSUPPORTED;
    }
    long minor = least > API_WANTED ? least : most < API_WANTED ? most : API_WANTED;
    snprintf(daemon->api, sizeof daemon->api, "/v1.%ld", minor);
    return COFRE_OK;
}

/* Cut to its room; bytes that a terminal would obey are none of a version. */
static void keep(char *to, size_t room, const char *text)
{
    char shown[FAILURE_QUOTE_MAX];
    snprintf(to, room, "%s", failure_quote(text, strlen(text), shown));
}

static const char *product_of(const json_t *version, struct member *member)
{
    const json_t *parts = member_array(member, version, "Components");
    const json_t *first = json_array_get(parts, 0);
    const char *name = member_text(member, first, "Name", "");
    return strcmp(name, "") == 0 || strcmp(name, "Engine") == 0 ? "Docker Engine" : name;
}

static int32_t ask_version(struct daemon *daemon, struct cofre_call *call, struct daemon_about *about,
                           struct cofre_error *error)
{
    const struct daemon_request request = {.method = "GET", .path = "/version", .what = "look at the daemon"};
    struct member member = {.wrong = NULL};
    json_t *answer = NULL;
    daemon->api[0] = '\0';
    int32_t class = ask_once(daemon, call, &request, &answer, error);
    if (class != COFRE_OK)
        return class;
    memset(about, 0, sizeof *about);
    keep(about->version, sizeof about->version, member_text(&member, answer, "Version", "unknown"));
    keep(about->api, sizeof about->api, member_text(&member, answer, "ApiVersion", ""));
    keep(about->minimum_api, sizeof about->minimum_api, member_text(&member, answer, "MinAPIVersion", ""));
    keep(about->product, sizeof about->product, product_of(answer, &member));
    json_decref(answer);
    return choose(daemon, about, error);
}

int32_t daemon_ready(struct daemon *daemon, struct cofre_call *call, struct cofre_error *error)
{
    struct daemon_about about;
    return daemon->api[0] ? COFRE_OK : ask_version(daemon, call, &about, error);
}

int32_t daemon_hello(struct daemon *daemon, struct cofre_call *call, struct daemon_about *about,
                     struct cofre_error *error)
{
    const struct daemon_request request = {.method = "GET", .path = "/info", .what = "look at the daemon"};
    struct member member = {.wrong = NULL};
    json_t *answer = NULL;
    int32_t class = ask_version(daemon, call, about, error);
    if (class != COFRE_OK)
        return class;
    class = ask_once(daemon, call, &request, &answer, error);
    /* A proxy before the socket may keep this to itself, and let through all that is needed. */
    if (class == COFRE_E_DENIED)
        return COFRE_OK;
    if (class != COFRE_OK)
        return class;
    keep(about->id, sizeof about->id, member_text(&member, answer, "ID", ""));
    snprintf(about->root, sizeof about->root, "%s", member_text(&member, answer, "DockerRootDir", ""));
    json_decref(answer);
    return COFRE_OK;
}
