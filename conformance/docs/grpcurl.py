"""What the documentation does with grpcurl, by grpcio: a call of a method that reflection describes."""

import argparse
import sys

import grpc
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

arguments = argparse.ArgumentParser()
arguments.add_argument("-plaintext", action="store_true", required=True)
arguments.add_argument("-d", default="{}")
arguments.add_argument("address")
arguments.add_argument("method")
given = arguments.parse_args()

channel = grpc.insecure_channel(given.address)
service, _, name = given.method.rpartition("/")
method = DescriptorPool(ProtoReflectionDescriptorDatabase(channel)).FindServiceByName(service).methods_by_name[name]
asked, answered = (message_factory.GetMessageClass(kind) for kind in (method.input_type, method.output_type))
call = channel.unary_unary(f"/{service}/{name}", asked.SerializeToString, answered.FromString)
print(json_format.MessageToJson(call(json_format.Parse(given.d, asked()), timeout=5)), file=sys.stdout)
