# culvert -- plain GNU make. `make help` lists the targets.
#
# Objects of each variant live in their own folder, so that switching between them rebuilds nothing:
#   build/release   what is installed
#   build/asan      AddressSanitizer + UBSan: unit and integration tests
#   build/tsan      ThreadSanitizer: the tests that cross threads
#   build/fuzz      clang's libFuzzer

VERSION  := 0.1.0
PREFIX   ?= /usr/local
DESTDIR  ?=
SYSCONFDIR ?= /etc/culvert
VARIANT  ?= release
CC       := $(if $(filter default,$(origin CC)),gcc,$(CC))
# Commands are shown with V=1.
Q        := $(if $(V),,@)
JOBS     ?= $(shell nproc)
PYTHON   ?= /usr/bin/python3

PACKAGES := libcares libssl libcrypto jansson
WARNINGS := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
            -Wwrite-strings -Wvla -Wundef -Wformat=2 -Wcast-qual
CPPFLAGS += -D_GNU_SOURCE -DCULVERT_VERSION='"$(VERSION)"' -DCULVERT_SYSCONFDIR='"$(SYSCONFDIR)"' -Iinclude
CFLAGS_release := -O2 -g -fstack-protector-strong -D_FORTIFY_SOURCE=2
CFLAGS_asan    := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
CFLAGS_tsan    := -O1 -g -fno-omit-frame-pointer -fsanitize=thread
CFLAGS_fuzz    := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined,fuzzer-no-link \
                  -fno-sanitize-recover=all
LDFLAGS_release := -Wl,-z,relro,-z,now
PIE      := -fPIE
BUILD    := build/$(VARIANT)

ALL_CFLAGS  = -std=gnu11 $(WARNINGS) $(CFLAGS_$(VARIANT)) $(PIE) -pthread $(PKG_CFLAGS) $(CFLAGS)
ALL_LDFLAGS = $(filter -fsanitize=%,$(subst fuzzer-no-link,fuzzer-no-link,$(CFLAGS_$(VARIANT)))) \
              $(LDFLAGS_$(VARIANT)) -pie -pthread $(LDFLAGS)
LIBS        = -lev -linih -lhttp_parser -lpaho-mqtt3as $(PKG_LIBS) -lm
PKG_CFLAGS  = $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
PKG_LIBS    = $(shell pkg-config --libs $(PACKAGES) 2>/dev/null)

SOURCES  := $(sort $(wildcard src/*.c src/*/*.c))
LIB_OBJ  := $(patsubst src/%.c,$(BUILD)/%.o,$(filter-out src/main.c,$(SOURCES)))
LIB      := $(BUILD)/libculvert.a
BIN      := $(BUILD)/culvert
UNIT     := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(sort $(wildcard tests/unit/test_*.c)))
FUZZERS  := $(patsubst tests/fuzz/%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))

.PHONY: all demo check bench fuzz soak asan tsan lint format install uninstall dist clean help \
        deps unit integration browser fuzz-replay units binary compilers

all: deps ## build culvert (installs the libraries that are missing)
	@$(MAKE) --no-print-directory -j$(JOBS) binary

binary: $(BIN)

deps:
	@contrib/install-deps.sh build

include tests/tests.mk

## ---- compiling ----

$(BIN): $(BUILD)/main.o $(LIB)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(BUILD)/main.o $(LIB) $(LIBS)

$(LIB): $(LIB_OBJ)
	@rm -f $@
	$(Q)ar rcs $@ $(LIB_OBJ)

$(BUILD)/%.o: src/%.c Makefile
	@mkdir -p $(@D)
	@echo '  $(VARIANT)  $@'
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# Its assembler reads the page.
$(BUILD)/admin/page.o: src/admin/page.html

-include $(LIB_OBJ:.o=.d) $(BUILD)/main.d

## ---- using ----

demo: all ## start culvert on an embedded default and print the page to open
	@contrib/install-deps.sh demo
	@contrib/demo/run.sh $(BIN)

format: ## format all C files in place
	clang-format -i $$(git ls-files '*.c' '*.h')

install: all ## install under PREFIX (default /usr/local), honouring DESTDIR
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 \
	    $(DESTDIR)$(PREFIX)/share/man/man5 $(DESTDIR)$(SYSCONFDIR) \
	    $(DESTDIR)$(PREFIX)/share/doc/culvert
	install -m 755 $(BIN) $(DESTDIR)$(PREFIX)/bin/culvert
	install -m 644 contrib/man/culvert.1 $(DESTDIR)$(PREFIX)/share/man/man1/culvert.1
	install -m 644 contrib/man/culvert.ini.5 $(DESTDIR)$(PREFIX)/share/man/man5/culvert.ini.5
	install -m 644 README.md CHANGELOG.md LICENSE conf/culvert.ini conf/minimal.ini \
	    $(DESTDIR)$(PREFIX)/share/doc/culvert
	test -e $(DESTDIR)$(SYSCONFDIR)/culvert.ini || \
	    install -m 644 conf/minimal.ini $(DESTDIR)$(SYSCONFDIR)/culvert.ini

uninstall: ## remove what install put there; the configuration stays
	rm -f $(DESTDIR)$(PREFIX)/bin/culvert $(DESTDIR)$(PREFIX)/share/man/man1/culvert.1 \
	    $(DESTDIR)$(PREFIX)/share/man/man5/culvert.ini.5
	rm -rf $(DESTDIR)$(PREFIX)/share/doc/culvert

dist: ## a source archive of HEAD in build/
	@mkdir -p build
	git archive --prefix=culvert-$(VERSION)/ -o build/culvert-$(VERSION).tar.gz HEAD
	@echo build/culvert-$(VERSION).tar.gz

clean: ## remove everything that was built
	rm -rf build

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' Makefile tests/tests.mk | sort | \
	    awk -F':.*## ' '{ printf "  %-12s %s\n", $$1, $$2 }'
