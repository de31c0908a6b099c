#include "archive/libarchive.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/error.h"

/* The name of the interface in archive.h: it is the same for all of version 3. */
#define SONAME "libarchive.so.13"
_Static_assert(ARCHIVE_VERSION_NUMBER >= 3000000 && ARCHIVE_VERSION_NUMBER < 4000000, "SONAME is that of libarchive 3");

struct libarchive libarchive;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool loaded;

#define ROW(name) {"archive_" #name, offsetof(struct libarchive, name)},
static const struct {
    const char *symbol;
    size_t offset;
} functions[] = {LIBARCHIVE_FUNCTIONS(ROW)};

static int cannot(struct error *e)
{
    const char *why = dlerror();
    error_set(e, ERROR_CONFIG, "tar needs libarchive, which cannot be loaded: %s", why ? why : "it is not known why");
    return error_hint(e, "install it; Debian: apt-get install libarchive13");
}

static int load(struct error *e)
{
    void *handle = dlopen(SONAME, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        return cannot(e);
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        void *function = dlsym(handle, functions[i].symbol);
        if (!function) {
            cannot(e);
            dlclose(handle);
            return -1;
        }
        memcpy((char *)&libarchive + functions[i].offset, &function, sizeof function);
    }
    loaded = true;
    return 0;
}

int libarchive_load(struct error *e)
{
    pthread_mutex_lock(&lock);
    int result = loaded ? 0 : load(e);
    pthread_mutex_unlock(&lock);
    return result;
}
