// Prints names, numbers and types of every message, enum and service of etcd's Go modules, one fact a line.
package main

import (
	"fmt"
	"sort"

	_ "go.etcd.io/etcd/api/v3/authpb"
	_ "go.etcd.io/etcd/api/v3/etcdserverpb"
	_ "go.etcd.io/etcd/api/v3/membershippb"
	_ "go.etcd.io/etcd/api/v3/mvccpb"
	_ "go.etcd.io/etcd/server/v3/etcdserver/api/v3election/v3electionpb"
	_ "go.etcd.io/etcd/server/v3/etcdserver/api/v3lock/v3lockpb"
	_ "go.etcd.io/raft/v3/raftpb"
	_ "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

var packages = map[protoreflect.FullName]bool{
	"authpb": true, "etcdserverpb": true, "membershippb": true, "mvccpb": true,
	"v3electionpb": true, "v3lockpb": true, "raftpb": true, "grpc.health.v1": true,
}

var lines []string

func line(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }

func message(m protoreflect.MessageDescriptor) {
	line("message %s", m.FullName())
	for i := 0; i < m.Fields().Len(); i++ {
		f := m.Fields().Get(i)
		kind := f.Kind().String()
		if f.Message() != nil {
			kind = string(f.Message().FullName())
		} else if f.Enum() != nil {
			kind = string(f.Enum().FullName())
		}
		oneof := ""
		if o := f.ContainingOneof(); o != nil && !o.IsSynthetic() {
			oneof = " oneof " + string(o.Name())
		}
		packed := ""
		if f.IsPacked() {
			packed = " packed"
		}
		line("field %s %d %s %s json %s%s%s", f.FullName(), f.Number(), f.Cardinality(), kind, f.JSONName(), oneof, packed)
	}
	for i := 0; i < m.Enums().Len(); i++ {
		enum(m.Enums().Get(i))
	}
	for i := 0; i < m.Messages().Len(); i++ {
		message(m.Messages().Get(i))
	}
}

func enum(e protoreflect.EnumDescriptor) {
	for i := 0; i < e.Values().Len(); i++ {
		v := e.Values().Get(i)
		line("value %s %s %d", e.FullName(), v.Name(), v.Number())
	}
}

func main() {
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		if !packages[f.Package()] {
			return true
		}
		for i := 0; i < f.Messages().Len(); i++ {
			message(f.Messages().Get(i))
		}
		for i := 0; i < f.Enums().Len(); i++ {
			enum(f.Enums().Get(i))
		}
		for i := 0; i < f.Services().Len(); i++ {
			s := f.Services().Get(i)
			for j := 0; j < s.Methods().Len(); j++ {
				m := s.Methods().Get(j)
				in, out := "", ""
				if m.IsStreamingClient() {
					in = "stream "
				}
				if m.IsStreamingServer() {
					out = "stream "
				}
				line("method %s %s%s %s%s", m.FullName(), in, m.Input().FullName(), out, m.Output().FullName())
			}
		}
		return true
	})
	sort.Strings(lines)
	for _, l := range lines {
		fmt.Println(l)
	}
}
