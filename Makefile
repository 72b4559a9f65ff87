# SPDX-License-Identifier: GPL-2.0-or-later
# weir. `make help` lists the targets. V=1 shows the commands, B=DIR builds elsewhere.

B	?= build
CC	?= gcc
CLANG	?= clang
BPFTOOL	?= $(shell command -v bpftool || echo /usr/sbin/bpftool)
PREFIX	?= /usr/local
VERSION	:= 0.1.0

DIRS	:= user user/capture user/model user/detect user/classify user/out user/daemon
INC	:= -Ibpf $(addprefix -I,$(DIRS)) -I$(B)
WARN	:= -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wno-unused-parameter
CFLAGS	?= -O2 -g
CFLAGS	+= -ffunction-sections -fdata-sections $(TUNE)
LDFLAGS	+= -Wl,--gc-sections $(TUNE)
CSTD	:= -std=gnu11 -D_GNU_SOURCE -DWEIR_VERSION='"$(VERSION)"'
LIBS	:= -lbpf -lelf -lz -lpcap -lnettle -lhogweed -ljansson -lncursesw -ltinfo -linih -lmnl -lsqlite3 -lmicrohttpd -lseccomp -lm
ARCH	:= $(shell uname -m)
BPF_INC	:= -Ibpf -I/usr/include/$(ARCH)-linux-gnu

ifeq ($(V),1)
msg	=
Q	=
else
msg	= @printf '  %-8s %s\n' "$(1)" "$(2)"
Q	= @
MAKEFLAGS += --no-print-directory
endif

# Debian's packages. What only tests and developers need stands apart.
DEPS	:= gcc clang bpftool libbpf-dev libelf-dev zlib1g-dev libpcap-dev nettle-dev libgmp-dev libjansson-dev \
	   libncurses-dev libxxhash-dev libinih-dev libmnl-dev libsqlite3-dev libmicrohttpd-dev libseccomp-dev
TEST_DEPS := build-essential procps libcmocka-dev libclang-rt-14-dev tmux mandoc cppcheck python3 python3-jsonschema \
	   python3-scapy tshark iproute2 nftables iperf3 curl openssl ethtool tcpdump \
	   qemu-system-x86 busybox-static cpio kmod xz-utils dnsmasq-base conntrack wireguard-tools debhelper dpkg-dev fakeroot lintian man-db prometheus systemd

BPF_SRC	:= $(wildcard bpf/*.bpf.c)
SKEL	:= $(patsubst bpf/%.bpf.c,$(B)/%.skel.h,$(BPF_SRC))
SRC	:= $(wildcard $(addsuffix /*.c,$(DIRS)))
OBJ	:= $(SRC:%.c=$(B)/%.o)
LIBOBJ	:= $(filter-out $(B)/user/main.o,$(OBJ))
SANOBJ	:= $(LIBOBJ:$(B)/%=$(B)/san/%)
FUZZOBJ	:= $(LIBOBJ:$(B)/%=$(B)/fuzzobj/%)
SAN	:= -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -O1 -g -ffunction-sections -fdata-sections
UNIT	:= $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/test_*.c))
BENCHES	:= $(patsubst tests/bench/%.c,$(B)/bench/%,$(wildcard tests/bench/bench_*.c))
FUZZERS	:= $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: deb all tuned deps list-deps build-deps live test unit schema install uninstall unit-build bench fuzz lint format clean help

all: $(B)/weir

$(B)/weir: $(OBJ)
	$(call msg,LINK,$@)
	$(Q)$(CC) $(CFLAGS) -o $@ $^ $(LDFLAGS) $(LIBS)
	$(Q)[ "$(B)" != build ] || ln -sf build/weir weir

# Built twice, the second time for what the first did most with a capture made here: as packages ship it. A path
# that was not taken is compiled as ever.
tuned: $(B)/tuned/weir
ifneq ($(notdir $(B)),tuned)
$(B)/tuned/weir: $(B)/weir $(B)/bench/make_capture
	$(Q)rm -rf $(B)/tuned
	$(Q)$(MAKE) B=$(B)/tuned TUNE="-flto=auto -fprofile-generate" all
	$(Q)$(B)/bench/make_capture 200000 3 >$(B)/tuned/capture.pcap
	$(Q)$(B)/tuned/weir analyze $(B)/tuned/capture.pcap >$(B)/tuned/training.txt
	$(Q)find $(B)/tuned '(' -name '*.o' ! -name '*.bpf.o' -o -name weir -o -name capture.pcap ')' -delete
	$(Q)$(MAKE) B=$(B)/tuned TUNE="-flto=auto -fprofile-use -fprofile-partial-training -Wno-missing-profile" all
endif

$(B)/%.bpf.o: bpf/%.bpf.c $(wildcard bpf/*.h)
	$(call msg,BPF,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Werror -Wno-unused-parameter $(BPF_INC) -c $< -o $@

$(B)/%.skel.h: $(B)/%.bpf.o
	$(call msg,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $(subst .,_,$(notdir $*)) > $@

# The built-in rules as a C string, one line each.
$(B)/rules_builtin.inc: user/classify/rules.ini
	$(call msg,GEN,$@)
	$(Q)mkdir -p $(@D)
	$(Q)sed 's/[\\"]/\\&/g; s/.*/"&\\n"/' $< > $@

$(OBJ) $(SANOBJ) $(FUZZOBJ): | $(B)/rules_builtin.inc

$(B)/%.o: %.c | $(SKEL)
	$(call msg,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CSTD) $(CFLAGS) $(WARN) $(INC) -MMD -MP -c $< -o $@

$(B)/san/%.o: %.c | $(SKEL)
	$(call msg,CC-SAN,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CSTD) $(SAN) $(WARN) $(INC) -MMD -MP -c $< -o $@

$(B)/fuzzobj/%.o: %.c | $(SKEL)
	$(call msg,CC-FUZZ,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(CSTD) $(SAN) -fsanitize=fuzzer-no-link $(WARN) -Wno-missing-field-initializers -Wno-missing-braces -Wno-gnu $(INC) -MMD -MP -c $< -o $@

# Archives, so that a test links the parts it uses. What it defines itself stands in for the program's own.
MINE	:= -Wl,-z,muldefs
$(B)/libsan.a: $(SANOBJ)
	$(Q)rm -f $@; ar rcs $@ $^

$(B)/libfuzz.a: $(FUZZOBJ)
	$(Q)rm -f $@; ar rcs $@ $^

$(B)/libweir.a: $(LIBOBJ)
	$(Q)rm -f $@; ar rcs $@ $^

$(B)/bench/%.bpf.o: tests/bench/%.bpf.c tests/bench/bench_abi.h
	$(call msg,BPF,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Werror -Wno-unused-parameter -Itests/bench $(BPF_INC) -c $< -o $@

# What works on the floor program's skeleton, or its walker.
WALKERS	:= $(B)/bench/bench_engine $(B)/bench/bench_live $(B)/bench/bench_scale $(B)/unit/test_engine_cpus
$(WALKERS): $(B)/bench/floor.skel.h
$(B)/bench/bench_live: $(B)/bench/weir_drop.skel.h
$(B)/bench/weir_drop.bpf.o: $(wildcard bpf/*.h)
$(WALKERS): INC += -I$(B)/bench -Itests/bench

# Benchmarks of parts, as they ship: no sanitizer.
$(B)/bench/%: tests/bench/%.c $(B)/libweir.a
	$(call msg,BENCH,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CSTD) $(CFLAGS) $(WARN) $(INC) -Itests/unit -o $@ $< $(B)/libweir.a $(LDFLAGS) $(LIBS) -lcmocka

$(B)/unit/%: tests/unit/%.c $(B)/libsan.a
	$(call msg,UNIT,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CSTD) $(SAN) $(WARN) $(INC) -Itests/unit -o $@ $< $(B)/libsan.a $(LDFLAGS) $(MINE) $(LIBS) -lcmocka

$(B)/fuzz/%: tests/fuzz/%.c $(B)/libfuzz.a
	$(call msg,FUZZ,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(CSTD) $(SAN) -fsanitize=fuzzer $(WARN) $(INC) -o $@ $< $(B)/libfuzz.a $(LDFLAGS) $(LIBS)

# Installs what is missing, where this is a Debian and we may.
want	= $(strip $(foreach p,$(1),$(if $(shell dpkg-query -Wf '$${db:Status-Abbrev}' $(p) 2>/dev/null | grep ^ii),,$(p))))
define get
	$(Q)if ! command -v apt-get >/dev/null; then exit 0; fi; missing="$(call want,$(1))"; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" != 0 ]; then echo "weir: packages are missing: $$missing. Run: sudo make $@"; exit 1; fi; \
	echo "installing: $$missing"; export DEBIAN_FRONTEND=noninteractive; \
	apt-get install -y -qq --no-install-recommends $$missing >$(B)-apt.log 2>&1 || { apt-get update -qq >>$(B)-apt.log 2>&1; \
	apt-get install -y -qq --no-install-recommends $$missing >>$(B)-apt.log 2>&1; } || { tail -5 $(B)-apt.log; exit 1; }; rm -f $(B)-apt.log
endef

build-deps:
	$(call get,$(DEPS))
deps:
	$(call get,$(DEPS) $(TEST_DEPS))
list-deps:
	@echo $(DEPS)

# The parts are made by a second make, so that the tools just installed are found.
live: build-deps
	$(Q)$(MAKE) all
	$(Q)./weir live $(IFACE)

test: deps
	$(Q)$(MAKE) all unit-build $(sort $(FUZZERS))
	$(Q)B=$(B) tests/run $(sort $(UNIT))

unit-build: $(UNIT) $(B)/screen-demo

$(B)/screen-demo: tests/screen/demo.c tests/unit/fake_model.h $(B)/libsan.a
	$(call msg,CC,$@)
	$(Q)$(CC) $(CSTD) $(SAN) $(WARN) $(INC) -o $@ $< $(B)/libsan.a $(LDFLAGS) $(MINE) $(LIBS)

unit: $(UNIT)
	$(Q)B=$(B) ONLY=unit/ tests/run $(sort $(UNIT))

$(B)/bench/bench_classify: INC += -Itests/bench

$(B)/bench/make_capture $(B)/bench/traffic: $(B)/bench/%: tests/bench/%.c tests/bench/bench.h
	$(call msg,BENCH,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CSTD) $(CFLAGS) $(WARN) -Itests/bench -o $@ $< -lm

# BENCH_JSON=file saves the run, BENCH_COMPARE=file holds it against a saved one, BENCH_WORSE=percent makes more than that fail.
bench: all tuned $(BENCHES) $(B)/bench/make_capture $(B)/bench/traffic
	$(Q)B=$(B) tests/bench/table $(if $(BENCH_JSON),--json $(BENCH_JSON)) $(if $(BENCH_COMPARE),--compare $(BENCH_COMPARE)) \
		$(if $(BENCH_WORSE),--worse $(BENCH_WORSE)) $(BENCH)

fuzz: $(FUZZERS)
	$(Q)for f in $(sort $^); do mkdir -p $(B)/corpus/$${f##*/}; echo "== $$f"; \
	$$f -max_total_time=$(or $(FUZZ_S),60) -print_final_stats=0 -verbosity=0 $(B)/corpus/$${f##*/} $$(ls -d tests/fuzz/corpus/$${f##*/} 2>/dev/null) || exit 1; done

# cppcheck 2.10 sees no initialisation through a pointer and no macro of libbpf; leaks are the sanitizers' to find.
lint:
	$(Q)cppcheck --quiet --std=c11 --enable=warning,portability,performance --inline-suppr --error-exitcode=1 \
		--suppress=missingIncludeSystem --suppress=unmatchedSuppression --suppress=uninitvar --suppress=ctuuninitvar --suppress=memleak \
		--suppress=internalAstError --suppress=duplicateAssignExpression --suppress=uselessAssignmentPtrArg --suppress=varFuncNullUB \
		'-DLIBBPF_OPTS(t,n,...)=struct t n' -DWEIR_VERSION='"0"' $(filter-out -I$(B),$(INC)) user
	$(Q)mandoc -T lint -W warning user/weir.8 user/weir.conf.5 user/weir-events.5
	@echo "lint: clean"

format:
	clang-format -i $(SRC) $(wildcard $(addsuffix /*.h,$(DIRS)) tests/unit/*.[ch])

install: all
	install -Dm755 $(B)/weir $(DESTDIR)$(PREFIX)/bin/weir
	install -Dm644 user/weir.8 $(DESTDIR)$(PREFIX)/share/man/man8/weir.8
	install -d $(DESTDIR)$(PREFIX)/share/man/man5
	install -m644 user/weir.conf.5 user/weir-events.5 $(DESTDIR)$(PREFIX)/share/man/man5
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	$(B)/weir completion > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/weir
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)$(PREFIX)/lib/sysusers.d
	for u in weir.service weir@.service; do sed 's|/usr/bin/weir|$(PREFIX)/bin/weir|' user/systemd/$$u \
		> $(DESTDIR)$(PREFIX)/lib/systemd/system/$$u || exit 1; done
	install -m644 user/systemd/weir.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/weir.conf
	install -Dm644 user/systemd/weir.conf $(DESTDIR)$(PREFIX)/share/doc/weir/weir.conf
	install -m644 user/systemd/weir-alerts.yml $(DESTDIR)$(PREFIX)/share/doc/weir/weir-alerts.yml

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/weir $(DESTDIR)$(PREFIX)/share/man/man8/weir.8 \
		$(DESTDIR)$(PREFIX)/share/man/man5/weir.conf.5 $(DESTDIR)$(PREFIX)/share/man/man5/weir-events.5 \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/weir \
		$(DESTDIR)$(PREFIX)/lib/systemd/system/weir.service $(DESTDIR)$(PREFIX)/lib/systemd/system/weir@.service \
		$(DESTDIR)$(PREFIX)/lib/sysusers.d/weir.conf $(DESTDIR)$(PREFIX)/share/doc/weir/weir.conf \
		$(DESTDIR)$(PREFIX)/share/doc/weir/weir-alerts.yml

# From what git knows, in a copy, so that nothing else gets into it or is left in the tree.
DEB	:= $(B)/deb
DEB_DEPS := build-essential debhelper dpkg-dev fakeroot lintian
deb: build-deps
	$(call get,$(DEB_DEPS))
	$(Q)rm -rf $(DEB) && mkdir -p $(DEB)/weir-$(VERSION)
	$(Q)git ls-files -z | xargs -0 cp --parents -t $(DEB)/weir-$(VERSION)
	$(Q)cd $(DEB)/weir-$(VERSION) && DEB_BUILD_OPTIONS="parallel=2 noautodbgsym nocheck" \
		dpkg-buildpackage -us -uc -b >../build.log 2>&1 || { tail -30 ../build.log; exit 1; }
	$(Q)lintian --allow-root --fail-on error,warning $(DEB)/*.changes
	@ls $(DEB)/*.deb

clean:
	rm -rf $(B) weir

help:
	@echo 'sudo make live [IFACE="eth0 ..."]  installs what is missing, builds, shows the screen'
	@echo 'sudo make test [ONLY=word]         the same, and runs every test'
	@echo 'make                               builds ./weir'
	@echo 'make unit                          the unit tests, under sanitizers'
	@echo 'make fuzz [FUZZ_S=60]              the fuzzers, so many seconds each'
	@echo 'sudo make bench [BENCH=part]       ns a packet, forwarding, records/s, captures, memory; BENCH_JSON=, BENCH_COMPARE=file'
	@echo 'make vmtest [KERNEL= SCENARIO=]    scenarios in VMs, every row on 6.1 and a chosen set on the others; SET=full: every row on all'
	@echo '                                   vmload, vmsmoke, vmservice, vmbreak, scenarios, soak, soak-benign too'
	@echo 'make lint                          cppcheck, the man page'
	@echo 'make tuned                         build/tuned/weir: optimised by a profile taken here, as the package has it'
	@echo 'make install [PREFIX= DESTDIR=]    default /usr/local; uninstall takes it away'
	@echo 'sudo make build-deps, deps          installs what building needs; what tests need, too'
	@echo 'make deb                           the Debian package, in build/deb'
	@echo 'make clean'

include vmtests/vmtests.mk

-include $(OBJ:.o=.d) $(SANOBJ:.o=.d) $(FUZZOBJ:.o=.d)
