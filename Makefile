# assistants-fcgi: `make help` lists the targets.

CC ?= cc
CFLAGS ?= -O2 -g
CPPFLAGS ?=
LDFLAGS ?=
PREFIX ?= /usr/local
DESTDIR ?=
FUZZ_SECONDS ?= 60
PORT ?= 8080

VERSION := 0.1.0

# V=1 shows the commands.
V ?= 0
ifneq ($(V),1)
Q := @
endif
say = $(if $(Q),@printf '  %-5s %s\n' '$(1)' '$(2)')

# release; asan: the same program with AddressSanitizer and UndefinedBehaviorSanitizer; tsan: with
# ThreadSanitizer; fuzz: for make fuzz.
VARIANT ?= release
BUILD := build/$(VARIANT)

PACKAGES := fcgi libcurl json-c sqlite3 libcrypto
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
	-Wpointer-arith -Wwrite-strings -Wformat=2 -Wvla -Wundef -Wcast-qual -Wimplicit-fallthrough \
	-Wno-missing-field-initializers $(WERROR)
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -DVERSION='"$(VERSION)"' -Isrc -I$(BUILD) -include src/banned.h \
	-pthread $(WARNINGS) $(PACKAGES_CFLAGS) -ffile-prefix-map=$(CURDIR)=. $(CPPFLAGS) $(CFLAGS) $(SANITIZE)
PACKAGES_CFLAGS := $(shell pkg-config --cflags $(PACKAGES))
LIBS := $(shell pkg-config --libs $(PACKAGES)) -lm

# Unit tests are many programs, and gold, where it is installed, links each in a third of the time.
UNIT_LDFLAGS := $(shell $(CC) -fuse-ld=gold -Wl,--version >/dev/null 2>&1 && echo -fuse-ld=gold)

ifeq ($(VARIANT),asan)
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
PROGRAM := $(BUILD)/assistants.fcgi
else ifeq ($(VARIANT),fuzz)
override CC := clang
SANITIZE := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
PROGRAM := $(BUILD)/assistants.fcgi
else ifeq ($(VARIANT),tsan)
SANITIZE := -fsanitize=thread -fno-omit-frame-pointer
PROGRAM := $(BUILD)/assistants.fcgi
else
SANITIZE := -D_FORTIFY_SOURCE=2 -fstack-protector-strong
PROGRAM := cgi-bin/assistants.fcgi
endif

SOURCES := $(sort $(filter-out src/main.c,$(wildcard src/*.c src/*/*.c)))
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o)
# One of them, with T=json.
UNIT_SOURCES := $(sort $(wildcard tests/unit/test_$(or $(T),*).c))
UNIT_PROGRAMS := $(UNIT_SOURCES:tests/unit/%.c=$(BUILD)/unit/%)
UNIT_HELPERS := $(BUILD)/tests/unit/support.o
FUZZ_HELPERS := $(BUILD)/tests/fuzz/support.o
FUZZ_SOURCES := $(sort $(filter-out tests/fuzz/support.c,$(wildcard tests/fuzz/*.c)))
FUZZ_PROGRAMS := $(FUZZ_SOURCES:tests/fuzz/%.c=$(BUILD)/%)

# A file is removed if making it failed half-way.
.DELETE_ON_ERROR:

.PHONY: all
all: $(PROGRAM)

.PHONY: help
help:
	@sed -n 's/^## //p' Makefile

## make            build cgi-bin/assistants.fcgi
$(PROGRAM): $(BUILD)/src/main.o $(BUILD)/libassistants.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(SANITIZE) -pthread $(LDFLAGS) -o $@ $^ $(LIBS)

# Everything but main.c, so that unit tests link what the program runs.
$(BUILD)/libassistants.a: $(OBJECTS)
	$(call say,AR,$@)
	@rm -f $@
	$(Q)$(AR) rcsD $@ $^

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# The schema is compiled in as one string.
$(BUILD)/schema.inc.h: src/db/schema.sql
	@mkdir -p $(@D)
	@{ echo 'static const char schema_sql[] ='; \
	  sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/"/' -e 's/$$/\\n"/' $<; echo ';'; } > $@
$(BUILD)/src/db/sqlite_migrate.o: $(BUILD)/schema.inc.h

$(BUILD)/unit/%: $(BUILD)/tests/unit/%.o $(UNIT_HELPERS) $(BUILD)/libassistants.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(SANITIZE) -pthread $(UNIT_LDFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS) -lcmocka
.PRECIOUS: $(BUILD)/%.o

## make www        complete the chat page, www/, with deep-chat from npm
.PHONY: www
www: www/deep-chat/deepChat.js
www/deep-chat/deepChat.js: www/package.json www/package-lock.json tools/www.sh
	tools/deps.sh www
	tools/www.sh

## make demo       serve everything on one port with lighttpd (PORT=8080)
.PHONY: demo
demo:
	tools/deps.sh build demo
	$(MAKE) www all
	PORT=$(PORT) tools/demo.sh

# The same objects, for a host without the libraries. DT_RPATH, because DT_RUNPATH would not be used
# for libraries that the libraries need.
BUNDLED := $(BUILD)/bundle/assistants.fcgi
$(BUNDLED): LDFLAGS += -Wl,--disable-new-dtags -Wl,-rpath,'$$ORIGIN/lib'
$(BUNDLED): $(BUILD)/src/main.o $(BUILD)/libassistants.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(SANITIZE) -pthread $(LDFLAGS) -o $@ $^ $(LIBS)

## make bundle     an archive for shared hosts, in build/
.PHONY: bundle
bundle:
	tools/deps.sh build bundle
	$(MAKE) $(BUNDLED) www
	tools/bundle.sh $(BUNDLED) build

# Tests with much concurrency, for ThreadSanitizer and valgrind.
CONCURRENT_TESTS := tests/soak/crowd.test.mjs tests/e2e/model.test.mjs tests/e2e/deleted.test.mjs

# On all cores, unless -j says how many.
JOBS = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))
# Tests of code that reads foreign input: model servers, clients, files. make soak runs the others under
# AddressSanitizer, too, except the one that replaces malloc().
ASAN_TESTS := $(wildcard $(patsubst %,tests/e2e/%.test.mjs,citations faults* hostile keys-hidden model* oddities \
	beta-v1 status stream transfer v1-[!w]*))
ALLOCATIONS_TEST := tests/e2e/allocations.test.mjs
OTHER_ASAN_TESTS := $(filter-out $(ASAN_TESTS) $(ALLOCATIONS_TEST),$(wildcard tests/e2e/*.test.mjs))

## make check      run all tests, many of them also under sanitizers, and a fortieth of make soak
.PHONY: check
check:
	tools/deps.sh build bundle check
	$(MAKE) $(JOBS) WERROR=-Werror all www unit build/powercut.so
	$(MAKE) $(JOBS) WERROR=-Werror VARIANT=asan all unit
	$(MAKE) $(JOBS) WERROR=-Werror VARIANT=tsan all
	$(MAKE) $(JOBS) FUZZ_SECONDS=1 fuzz
	SOAK= tools/e2e.sh cgi-bin/assistants.fcgi tests/e2e/*.test.mjs tests/soak/*.test.mjs
	tools/e2e.sh build/asan/assistants.fcgi $(ASAN_TESTS)
	tools/e2e.sh build/tsan/assistants.fcgi $(CONCURRENT_TESTS) tests/e2e/leaves.test.mjs \
		tests/e2e/process.test.mjs tests/e2e/tools.test.mjs

## make soak       the same in full; valgrind; make fuzz; the bundle in a bare Debian; Debian 13; a booted systemd
.PHONY: soak
soak: export SOAK := full
soak: check
	tools/deps.sh soak
	tools/e2e.sh cgi-bin/assistants.fcgi tests/soak/*.test.mjs $(ALLOCATIONS_TEST)
	SOAK= tools/e2e.sh build/asan/assistants.fcgi $(OTHER_ASAN_TESTS)
	SOAK= tools/e2e.sh tests/soak/valgrind $(CONCURRENT_TESTS)
	$(MAKE) fuzz
	tests/soak/bundle.sh
	tests/soak/debian13.sh
	tests/soak/systemd.sh

# The peers of make bench, and what measures CGI. linked has the program's libraries, and calls none.
BENCH_PROGRAMS := $(addprefix build/bench/bin/,hello linked timecgi)
build/bench/bin/linked: LDFLAGS += -Wl,--no-as-needed
$(BENCH_PROGRAMS): build/bench/bin/%: tests/bench/peers/%.c
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $< $(LIBS)

## make bench      measure speed, beside PHP, Node and nginx; tables and plots in build/bench (BENCH=1,3)
.PHONY: bench
bench:
	tools/deps.sh build bench
	$(MAKE) all $(BENCH_PROGRAMS)
	tools/e2e.sh cgi-bin/assistants.fcgi tests/bench/bench.mjs

## make bench-docs copy the figures of the last make bench into docs/benchmarks.md
.PHONY: bench-docs
bench-docs:
	sed -i -e '/^<!-- figures -->$$/,/^<!-- end of figures -->$$/{//!d}' \
		-e '/^<!-- figures -->$$/r build/bench/tables.md' docs/benchmarks.md
	cp build/bench/*.svg docs/

## make unit       run the unit tests, or one of them: make unit T=json
.PHONY: unit
unit: $(UNIT_PROGRAMS)
	@tools/unit.sh $(UNIT_PROGRAMS)

## make fuzz       fuzz all that reads foreign input (FUZZ_SECONDS=60 for each program)
.PHONY: fuzz
fuzz:
	tools/deps.sh build fuzz
	$(MAKE) VARIANT=fuzz fuzz-programs
	FUZZ_SECONDS=$(FUZZ_SECONDS) tools/fuzz.sh

.PHONY: fuzz-programs
fuzz-programs: $(FUZZ_PROGRAMS)

$(FUZZ_PROGRAMS): $(BUILD)/%: $(BUILD)/tests/fuzz/%.o $(FUZZ_HELPERS) $(BUILD)/libassistants.a
	$(call say,LD,$@)
	$(Q)$(CC) -fsanitize=fuzzer $(SANITIZE) -pthread $(LDFLAGS) -o $@ $^ $(LIBS)

## make lint       check format, clang-tidy, documents and the project's rules; silent if all is well
.PHONY: lint
lint:
	@tools/deps.sh --quiet build check lint
	@tools/lint.sh

# For LD_PRELOAD: a disk that forgets what was not synced.
build/powercut.so: tests/soak/powercut.c
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE $(WARNINGS) $(CPPFLAGS) $(CFLAGS) -fPIC -shared $(LDFLAGS) -o $@ $<

# For tools/lint.sh: the compiler's flags, one a line; makes the generated header, too.
.PHONY: compiler-flags
compiler-flags: $(BUILD)/schema.inc.h
	@printf '%s\n' $(ALL_CFLAGS)

## make compile_commands.json  how each file is compiled, for editors
compile_commands.json: Makefile $(BUILD)/schema.inc.h
	@printf '%s\n' $(ALL_CFLAGS) | awk -v compiler='$(CC)' -v folder='$(CURDIR)' \
		-v files='src/main.c $(SOURCES) $(UNIT_SOURCES)' -f tools/compile-commands.awk > $@

## make install    install to PREFIX (/usr/local), below DESTDIR; with the chat page, if make www was run
.PHONY: install
install: $(PROGRAM)
	install -d $(DESTDIR)$(PREFIX)/lib/assistants-fcgi/cgi-bin $(DESTDIR)$(PREFIX)/share/man/man8 \
		$(DESTDIR)$(PREFIX)/share/man/man5 $(DESTDIR)$(PREFIX)/share/doc/assistants-fcgi/docs \
		$(DESTDIR)$(PREFIX)/share/doc/assistants-fcgi/examples/tools
	install -m 0755 $(PROGRAM) $(DESTDIR)$(PREFIX)/lib/assistants-fcgi/cgi-bin/assistants.fcgi
	install -m 0644 cgi-bin/.htaccess $(DESTDIR)$(PREFIX)/lib/assistants-fcgi/cgi-bin/
	if [ -e www/deep-chat/deepChat.js ]; then tools/copy-page.sh $(DESTDIR)$(PREFIX)/lib/assistants-fcgi/www; fi
	install -m 0644 man/assistants.fcgi.8 $(DESTDIR)$(PREFIX)/share/man/man8/
	install -m 0644 man/assistants-fcgi.conf.5 $(DESTDIR)$(PREFIX)/share/man/man5/
	install -m 0644 README.md CHANGELOG.md SECURITY.md LICENSE lighttpd.conf.example \
		$(DESTDIR)$(PREFIX)/share/doc/assistants-fcgi/
	install -m 0644 docs/* $(DESTDIR)$(PREFIX)/share/doc/assistants-fcgi/docs/
	install -m 0644 $(wildcard examples/*.*) $(DESTDIR)$(PREFIX)/share/doc/assistants-fcgi/examples/
	install -m 0644 examples/tools/add_numbers.json $(DESTDIR)$(PREFIX)/share/doc/assistants-fcgi/examples/tools/
	install -m 0755 examples/tools/add_numbers $(DESTDIR)$(PREFIX)/share/doc/assistants-fcgi/examples/tools/

## make clean      remove what was built
.PHONY: clean
clean:
	rm -rf build cgi-bin/assistants.fcgi www/deep-chat compile_commands.json

-include $(OBJECTS:.o=.d) $(BUILD)/src/main.d $(UNIT_SOURCES:tests/unit/%.c=$(BUILD)/tests/unit/%.d) $(UNIT_HELPERS:.o=.d)
-include $(FUZZ_SOURCES:%.c=$(BUILD)/%.d) $(FUZZ_HELPERS:.o=.d)
