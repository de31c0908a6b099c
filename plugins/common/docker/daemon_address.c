#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/docker/daemon_inside.h"
#include "common/failure.h"

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value ? value : "";
}

static int32_t refuse(const char *address, struct cofre_error *error, const char *why, const char *hint)
{
    char shown[FAILURE_QUOTE_MAX];
    cofre_fail(error, COFRE_E_CONFIG, "docker at '%.300s': %s", failure_quote(address, strlen(address), shown), why);
    cofre_hint(error, "%s", hint);
    return COFRE_E_CONFIG;
}

static const char form[] = "write it as unix:///var/run/docker.sock, or tcp://HOST:PORT";

static int32_t read_path(struct daemon_address *a, const char *path, struct cofre_error *error)
{
    if (path[0] != '/')
        return refuse(a->text, error, "the socket's path is not absolute", form);
    if (strlen(path) >= sizeof a->path)
        return refuse(a->text, error, "the socket's path is longer than the system allows",
                      "make a symlink to it at a shorter path");
    strcpy(a->path, path);
    strcpy(a->host, "localhost");
    strcpy(a->base, "http://localhost");
    return COFRE_OK;
}

/* [v6] or a name; a port, which is digits. Nothing that a URL would take for something else. */
static bool is_host_and_port(const char *text)
{
    char literal[64];
    const char *colon = strrchr(text, ':');
    if (!colon || colon == text || (size_t)(colon - text) > 255)
        return false;
    size_t n = (size_t)(colon - text), digits = strspn(colon + 1, "0123456789");
    long port = strtol(colon + 1, NULL, 10);
    if (digits == 0 || digits > 5 || colon[1 + digits] != '\0' || port < 1 || port > 65535)
        return false;
    if (text[0] == '[') {
        struct in6_addr ignored;
        if (n < 4 || n - 2 >= sizeof literal || text[n - 1] != ']')
            return false;
        memcpy(literal, text + 1, n - 2);
        literal[n - 2] = '\0';
        return inet_pton(AF_INET6, literal, &ignored) == 1;
    }
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)text[i]) && !strchr("-._", text[i]))
            return false;
    return true;
}

static int32_t read_host(struct daemon_address *a, const char *host, struct cofre_error *error)
{
    char text[sizeof a->host];
    size_t n = strlen(host);
    if (n > 0 && host[n - 1] == '/')
        n--;
    if (n >= sizeof text)
        return refuse(a->text, error, "it is too long", form);
    memcpy(text, host, n);
    text[n] = '\0';
    if (!is_host_and_port(text))
        return refuse(a->text, error, "it is no HOST:PORT", form);
    strcpy(a->host, text);
    snprintf(a->base, sizeof a->base, "%s://%s", a->tls[0] ? "https" : "http", text);
    return COFRE_OK;
}

/* What is said beside the address; what the environment says counts for TCP alone, as it does for docker. */
static int32_t read_tls(const struct daemon_options *options, struct daemon_address *a, bool tcp,
                        struct cofre_error *error)
{
    const char *tls = options->tls && *options->tls ? options->tls : NULL;
    if (tls && !tcp)
        return refuse(a->text, error, "TLS is for tcp:// alone", "remove tls, or set the address of the daemon");
    if (!tls && tcp && *environment("DOCKER_TLS_VERIFY")) {
        tls = environment("DOCKER_CERT_PATH");
        if (!*tls)
            return refuse(a->text, error, "DOCKER_TLS_VERIFY is set, and DOCKER_CERT_PATH is not",
                          "set tls to the directory of ca.pem, cert.pem and key.pem");
    }
    if (tls && (tls[0] != '/' || strlen(tls) >= sizeof a->tls))
        return refuse(a->text, error, "the directory for TLS is no absolute path, or too long", "");
    if (tls)
        strcpy(a->tls, tls);
    return COFRE_OK;
}

int32_t daemon_address_read(const struct daemon_options *options, struct daemon_address *a, struct cofre_error *error)
{
    const char *text = options->address && *options->address ? options->address : environment("DOCKER_HOST");
    memset(a, 0, sizeof *a);
    if (!*text)
        text = DAEMON_ADDRESS;
    if (strlen(text) >= sizeof a->text)
        return refuse(text, error, "it is too long", form);
    strcpy(a->text, text);
    bool tcp = strncmp(text, "tcp://", 6) == 0;
    int32_t class = read_tls(options, a, tcp, error);
    if (class != COFRE_OK)
        return class;
    if (tcp)
        return read_host(a, text + 6, error);
    if (strncmp(text, "unix://", 7) == 0)
        return read_path(a, text + 7, error);
    if (strncmp(text, "ssh://", 6) == 0)
        return refuse(text, error, "ssh:// is not spoken here",
                      "forward the socket: ssh -NL /run/docker-HOST.sock:/var/run/docker.sock HOST, and set "
                      "unix:///run/docker-HOST.sock");
    return refuse(text, error, "it is no address of a daemon", form);
}
